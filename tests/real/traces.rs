//! Spans of requests to a real Ollama, read back from a real Jaeger.

use serde_json::{Value, json};

use super::{
    answer::curl,
    jaeger::Jaeger,
    ollama::{MODEL, Ollama},
    sidecar::Sidecar,
    version::Version,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "00f067aa0ba902b7";

/// The settings of traces that are sent at once.
fn traced<'a>(endpoint: &'a str, ratio: &'a str, attributes: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("STREAMGAUGE_TRACES__ENDPOINT", endpoint),
        ("STREAMGAUGE_TRACES__SAMPLE_RATIO", ratio),
        ("STREAMGAUGE_TRACES__INTERVAL", "10ms"),
        ("STREAMGAUGE_TRACES__ATTRIBUTES", attributes),
    ]
}

/// Sends a request with these header fields. Returns the body of the response.
fn ask(sidecar: &Sidecar, fields: &[&str], path: &str, body: Option<&Value>) -> String {
    let (url, body) = (format!("{}{path}", sidecar.url), body.map(Value::to_string));
    let mut arguments: Vec<_> = fields.iter().flat_map(|field| ["--header", field]).collect();
    arguments.extend(body.iter().flat_map(|body| ["--data", body.as_str()]));
    arguments.push(&url);
    let output = curl(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs a real Ollama and a real Jaeger; tests/real/install.sh"]
fn jaeger_has_the_phases_and_tokens_of_a_stream_below_the_span_of_its_client() {
    let (ollama, jaeger) = (Ollama::start(Version::NEWEST, 1), Jaeger::start());
    let endpoint = jaeger.endpoint();
    let sidecar = Sidecar::start_with(
        &ollama,
        &traced(&endpoint, "0", "{ \"deployment.environment.name\" = \"test\" }"),
    );
    let parent = format!("traceparent: 00-{TRACE}-{SPAN}-01");
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Count to ten."}]});
    let answer = ask(&sidecar, &[&parent, "tracestate: congo=t61"], "/api/chat", Some(&body));
    let last: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!(last["done"], true, "{answer}");

    let span = jaeger.span(TRACE);
    assert_eq!((span.text("name"), span.text("parentSpanId")), (&*format!("chat {MODEL}:latest"), SPAN));
    assert_eq!((span.text("traceState"), span.kind()), ("congo=t61", &json!(2)));
    assert_eq!(span.resource["service.name"], "streamgauge");
    assert_eq!(span.resource["deployment.environment.name"], "test");
    let text = |name: &str| span.attributes[name].as_str();
    assert_eq!(text("gen_ai.operation.name"), "chat");
    for name in ["gen_ai.request.model", "gen_ai.response.model"] {
        assert_eq!(text(name), format!("{MODEL}:latest"));
    }
    assert_eq!(text("gen_ai.usage.input_tokens"), last["prompt_eval_count"].to_string());
    assert_eq!(text("gen_ai.usage.output_tokens"), last["eval_count"].to_string());
    assert_eq!(text("gen_ai.response.finish_reasons"), last["done_reason"]);
    assert_eq!((text("streamgauge.outcome"), text("streamgauge.upstream")), ("complete", "real"));
    assert_eq!((text("http.response.status_code"), text("http.route")), ("200", "/api/chat"));
    let evaluated = last["prompt_eval_duration"].as_f64().unwrap() / 1e9;
    let told: f64 = text("streamgauge.prompt_eval.duration").parse().unwrap();
    assert!((told - evaluated).abs() < 1e-6, "{told} s instead of {evaluated} s");
    assert!(!format!("{span:?}").contains("Count to ten"));

    let events = span.events();
    let at = |name: &str| {
        events.iter().position(|(event, ..)| event == name).unwrap_or_else(|| panic!("no {name}"))
    };
    let sent = ["admitted", "queued", "dispatched", "sent"].map(at);
    let answered = ["first_record", "last_token"].map(at);
    assert!([&sent[..], &answered].concat().is_sorted(), "{events:?}");
    // The time of the evaluation is Ollama's own.
    assert!(sent[3] < at("prompt_evaluated") && at("prompt_evaluated") < answered[1], "{events:?}");
    assert_eq!(events[sent[2]].2["streamgauge.upstream"], "real");
    let (began, ended) = span.times();
    let times: Vec<_> = events.iter().map(|(_, time, _)| *time).collect();
    assert!(began <= times[0] && times[times.len() - 1] <= ended, "{events:?}");
    assert_eq!(jaeger.services(), json!(["streamgauge"]));
    sidecar.until("trace_spans_exported_total", &[], 1.0);
    assert_eq!(sidecar.sum("trace_spans_dropped_total", &[]), 0.0);
}

#[test]
#[ignore = "needs a real Ollama and a real Jaeger; tests/real/install.sh"]
fn jaeger_has_the_requests_whose_parent_is_sampled_and_those_without_a_valid_parent_by_the_ratio() {
    let (ollama, jaeger) = (Ollama::without_models(Version::NEWEST), Jaeger::start());
    let endpoint = jaeger.endpoint();
    let (sampled, unsampled) =
        (format!("traceparent: 00-{TRACE}-{SPAN}-01"), format!("traceparent: 00-{OTHER}-{SPAN}-00"));
    let malformed = format!("traceparent: 00-{OTHER}-{SPAN}");
    // The last request of each sidecar has a span. The spans of a sidecar come in their order.
    for (ratio, service, roots) in [("0", "none", 0), ("1", "every", 3)] {
        let attributes = format!("{{ \"service.name\" = \"{service}\" }}");
        let sidecar = Sidecar::start_with(&ollama, &traced(&endpoint, ratio, &attributes));
        let ask = |fields: &[&str]| {
            let answer = ask(&sidecar, fields, "/api/version", None);
            assert!(answer.contains("version"), "{answer}");
        };
        ask(&[]);
        ask(&[&malformed]);
        ask(&[&sampled, &sampled]);
        ask(&[&unsampled]);
        ask(&[&sampled]);
        sidecar.until("trace_spans_exported_total", &[], f64::from(roots + 1));

        let spans = jaeger.found(service);
        assert_eq!(spans.len(), roots as usize + 1, "{spans:?}");
        assert!(spans.iter().all(|span| span.text("name") == "GET /api/version"), "{spans:?}");
        let (children, others): (Vec<_>, Vec<_>) =
            spans.iter().partition(|span| span.text("traceId") == TRACE);
        assert_eq!(children.iter().map(|span| span.text("parentSpanId")).collect::<Vec<_>>(), [SPAN]);
        let is_root = |span: &&super::jaeger::Span| span.text("parentSpanId").is_empty();
        assert!(others.len() == roots as usize && others.iter().all(is_root), "{others:?}");
        assert!(jaeger.trace(OTHER).is_none());
    }
    assert_eq!(jaeger.trace(TRACE).map(|spans| spans.len()), Some(2));
}
