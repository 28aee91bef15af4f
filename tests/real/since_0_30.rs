//! Features of a current Ollama that 0.12 lacks.

use serde_json::{Value, json};

use super::{
    answer::{get, post},
    ollama::{EMBEDDER, MODEL, Ollama},
    sidecar::Sidecar,
    tool::{self, CALLER, ChatPath},
    version::{Version, on_llama_server},
    wire::Request,
};

const LABEL: &str = r#"model="talker:latest""#;

fn messages() -> Value {
    json!([{"role": "user", "content": "Name three colours."}])
}

fn single_token_has_no_rate(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let ask = |tokens: u32| {
        let body =
            json!({"model": MODEL, "prompt": "Why is the sky blue?", "options": {"num_predict": tokens}});
        let answer = post(&sidecar.url, "/api/generate", &body);
        answer.records().pop().unwrap()
    };
    let last = ask(1);
    assert_eq!((&last["eval_count"], &last["eval_duration"]), (&json!(1), &json!(1000)), "{last}");
    sidecar.until("requests_total", &[LABEL, r#"outcome="complete""#], 1.0);
    let rate =
        |part: &str| sidecar.sum(&format!("output_tokens_per_second_{part}"), &[LABEL, r#"by="ollama""#]);
    assert_eq!(rate("count"), 0.0, "{}", sidecar.metrics());
    // n tokens have n − 1 gaps.
    let last = ask(10);
    let gaps = last["eval_count"].as_f64().unwrap() - 1.0;
    assert!(gaps >= 2.0, "{last}");
    sidecar.until("output_tokens_per_second_count", &[LABEL, r#"by="ollama""#], 1.0);
    let expected = gaps / (last["eval_duration"].as_f64().unwrap() / 1e9);
    assert!((rate("sum") / expected - 1.0).abs() < 1e-6, "{} and not {expected}: {last}", rate("sum"));
}

fn zstd_bodies_under_v1_are_read_and_served(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start_with(&ollama, &[("STREAMGAUGE_SHAPING__OPENAI_USAGE", "inject")]);
    let usual = json!({
        "model": MODEL, "messages": messages(), "prompt": "x", "input": "x", "max_tokens": 4, "max_output_tokens": 4,
        "stream": true,
    });
    let mut embed = usual.clone();
    embed["model"] = EMBEDDER.into();
    for (path, route, body) in [
        ("/v1/chat/completions", "openai_chat", &usual),
        ("/v1/completions", "openai_completions", &usual),
        ("/v1/responses", "openai_responses", &usual),
        ("/v1/messages", "anthropic_messages", &usual),
        ("/v1/embeddings", "openai_embeddings", &embed),
    ] {
        let coded = zstd::encode_all(body.to_string().as_bytes(), 3).unwrap();
        let request = Request::new("POST", path)
            .with("Content-Type", "application/json")
            .with("Content-Encoding", "zstd")
            .of(coded);
        let response = request.ask(&sidecar.url);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let model = format!("model=\"{}:latest\"", body["model"].as_str().unwrap());
        let labels = [&*format!("route=\"{route}\""), &model, r#"outcome="complete""#];
        sidecar.until("requests_total", &labels, 1.0);
    }
    assert_eq!(sidecar.sum("usage_missing_total", &[]), 0.0, "{}", sidecar.metrics());
}

fn model_in_every_spelling_has_one_label(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let names = [MODEL, "TALKER", "talker:latest", "Talker:local", "talker:latest:local", "library/talker"];
    for name in names {
        let body = json!({"model": name, "prompt": "x", "options": {"num_predict": 2}, "stream": false});
        let answer = post(&sidecar.url, "/api/generate", &body);
        assert_eq!((answer.status, &answer.json()["model"]), (200, &json!(name)), "{answer:?}");
    }
    sidecar.until(
        "requests_total",
        &[LABEL, r#"upstream="real""#, r#"outcome="complete""#],
        names.len() as f64,
    );
}

fn cloud_request_is_not_counted_for_this_machine(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    for (count, name) in ["gpt-oss:cloud", "gpt-oss:20b:cloud", "gpt-oss:20b-cloud"].into_iter().enumerate() {
        let body = json!({"model": name, "messages": messages(), "stream": false});
        let [direct, through] = [&ollama.url, &sidecar.url].map(|url| post(url, "/api/chat", &body));
        assert_eq!((direct.status, through.lasting()), (403, direct.lasting()), "{name}");
        let outcome = [r#"upstream="cloud""#, r#"route="chat""#, r#"outcome="client_error""#];
        sidecar.until("requests_total", &outcome, (count + 1) as f64);
    }
    assert_eq!(sidecar.sum("requests_total", &[r#"upstream="real""#]), 0.0, "{}", sidecar.metrics());
    assert_eq!(sidecar.sum("requests_total", &[r#"outcome="upstream_error""#]), 0.0);
}

fn client_and_cloud_errors_are_no_errors_of_this_ollama(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let embed = json!({"model": MODEL, "input": "x", "prompt": "x"});
    // `/api/embeddings` returns 500 for it, which does not tell whose fault it is.
    for path in ["/api/embed", "/v1/embeddings"] {
        let [direct, through] = [&ollama.url, &sidecar.url].map(|url| post(url, path, &embed));
        assert_eq!((direct.status, through.lasting()), (501, direct.lasting()), "{path}");
    }
    sidecar.until("requests_total", &[LABEL, r#"outcome="client_error""#], 2.0);
    // Ollama's cloud is unreachable or disabled.
    for path in ["/api/me", "/api/signout", "/api/experimental/web_search", "/api/experimental/web_fetch"] {
        let [direct, through] =
            [&ollama.url, &sidecar.url].map(|url| post(url, path, &json!({"query": "x", "url": "http://x"})));
        assert!(direct.status >= 400, "{path}: {direct:?}");
        assert_eq!(through.lasting(), direct.lasting(), "{path}");
        println!("{version} {path}: {} {}", direct.status, direct.text());
    }
    sidecar.until("requests_total", &[r#"upstream="cloud""#], 4.0);
    let status = [&ollama.url, &sidecar.url].map(|url| get(url, "/api/status").lasting());
    assert_eq!((status[0].0, &status[0]), (200, &status[1]));
    sidecar.until("requests_total", &[r#"route="status""#, r#"outcome="complete""#], 1.0);
    let page = sidecar.metrics();
    assert_eq!(
        sidecar.sum("requests_total", &[r#"upstream="real""#, r#"outcome="upstream_error""#]),
        0.0,
        "{page}"
    );
}

fn new_routes_generate(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n\
         --x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{MODEL}\r\n--x--\r\n"
    );
    let transcribe = Request::new("POST", "/v1/audio/transcriptions")
        .with("Content-Type", "multipart/form-data; boundary=x")
        .of(form);
    let [direct, through] = [&ollama.url, &sidecar.url].map(|url| transcribe.ask(url));
    println!("{version} transcriptions: {} {}", direct.status, direct.text());
    assert_eq!((direct.status, direct.text()), (through.status, through.text()));
    let outcome =
        if direct.status < 500 { r#"outcome="client_error""# } else { r#"outcome="upstream_error""# };
    sidecar.until("requests_total", &[r#"route="openai_transcriptions""#, LABEL, outcome], 1.0);

    // A route that a version lacks returns 404, under the label of the route. A compaction needs a model with
    // tools.
    tool::create(&ollama, ChatPath::Native);
    let body = json!({"model": CALLER, "input": "Say one word.", "prompt": "x", "max_output_tokens": 4});
    for (path, route, since) in [
        ("/v1/responses/compact", "openai_responses_compact", Some(Version::V0_34_3)),
        ("/v1/images/generations", "openai_images_generations", None),
    ] {
        let has = since.is_some_and(|since| version >= since);
        let answer = post(&sidecar.url, path, &body);
        assert_eq!(answer.status == 404, !has, "{path}: {answer:?}");
        // The small model makes no summary that Ollama could read.
        let outcome = match answer.status {
            200 => r#"outcome="complete""#,
            500.. => r#"outcome="upstream_error""#,
            _ => r#"outcome="client_error""#,
        };
        // A failed request gives its model no label. A probe that sees the model in memory does.
        let (route, label) = (format!("route=\"{route}\""), r#"model="tooled:latest""#);
        let labels: &[&str] =
            if answer.status == 200 { &[&route, label, outcome] } else { &[&route, outcome] };
        sidecar.until("requests_total", labels, 1.0);
    }
}

fn cached_part_of_prompt_is_counted_if_reported(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let body = json!({"model": MODEL, "prompt": "The quick brown fox jumps over the lazy dog. ".repeat(20)});
    let lasts = [(); 2].map(|()| post(&sidecar.url, "/api/generate", &body).records().pop().unwrap());
    let prompt = lasts[1]["prompt_eval_count"].as_f64().unwrap();
    sidecar.until("requests_total", &[LABEL, r#"outcome="complete""#], 2.0);
    sidecar.until("tokens_total", &[LABEL, r#"kind="prompt""#], 2.0 * prompt);
    let cached = sidecar.sum("tokens_total", &[LABEL, r#"kind="prompt_cached""#]);
    let evaluated = sidecar.sum("prompt_evaluated_tokens_total", &[LABEL]);
    if version >= Version::V0_34_3 {
        assert!(cached >= 0.9 * prompt, "{cached} of {prompt}: {lasts:?}");
        assert_eq!(evaluated, 2.0 * prompt - cached, "{lasts:?}");
    } else {
        // Its count includes the cached part and its duration does not, so that they make no rate.
        assert_eq!((cached, evaluated), (0.0, 0.0), "{lasts:?}");
        assert!(lasts[1].get("prompt_eval_cached_count").is_none());
    }
}

on_llama_server! {
    single_token_has_no_rate,
    zstd_bodies_under_v1_are_read_and_served,
    model_in_every_spelling_has_one_label,
    cloud_request_is_not_counted_for_this_machine,
    client_and_cloud_errors_are_no_errors_of_this_ollama,
    new_routes_generate,
    cached_part_of_prompt_is_counted_if_reported,
}
