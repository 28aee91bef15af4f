//! Tests which models get a label of their own.

use super::*;

#[test]
fn junk_model_names_are_labelled_other() {
    let bench = bench();
    for junk in 0..1_000_000 {
        let mut measurement = bench.meter.start(Facts::new("POST", "/api/show"));
        measurement.model_named(&format!("junk{junk}"));
        measurement.responded(StatusCode::NOT_FOUND);
        measurement.finish(Outcome::ClientError);
    }
    let other = "requests_total{model=\"other\",outcome=\"client_error\",route=\"show\",upstream=\"none\"}";
    assert_eq!(bench.value(other), Some(1_000_000.0));
    assert!(!bench.scrape().contains("junk"));
}

#[test]
fn model_only_pulled_or_shown_gets_no_label() {
    let bench = bench();
    let ask = |path: &str, name: &str, answer: &'static str| {
        let mut measurement = bench.meter.start(Facts::new("POST", path));
        measurement.model_named(name);
        measurement.model_listed(Some(name));
        measurement.upstream_chosen("u");
        measurement.responded(StatusCode::OK);
        let content_type = if path == "/api/show" { Some("application/json") } else { NDJSON };
        let mut body = Box::pin(measurement.wrap_body(content_type, script([Data(answer)])));
        while let Poll::Ready(Some(_)) = poll(&mut body) {}
    };
    for junk in 0..100 {
        ask(
            "/api/pull",
            &format!("junk{junk}"),
            "{\"error\":\"pull model manifest: file does not exist\"}\n",
        );
        ask("/api/show", &format!("junk{junk}"), "{}");
    }
    ask("/api/pull", "real:latest", "{\"status\":\"success\"}\n");
    let of = |model: &str, route: &str, outcome: &str| bench.value(&ended("u", route, model, outcome));
    assert_eq!(of("other", "pull", "in_band_error"), Some(100.0));
    assert_eq!(of("other", "pull", "complete"), Some(1.0));
    assert_eq!(of("other", "show", "complete"), Some(100.0));
    assert!(!bench.scrape().contains("junk"));
    ask("/api/generate", "real:latest", LAST);
    ask("/api/show", "real:latest", "{}");
    assert_eq!(of("real:latest", "generate", "complete"), Some(1.0));
    assert_eq!(of("real:latest", "show", "complete"), Some(1.0), "it has a label by now");
}

/// Returns the series of a request that ended.
pub(super) fn ended(upstream: &str, route: &str, model: &str, outcome: &str) -> String {
    format!(
        "requests_total{{model=\"{model}\",outcome=\"{outcome}\",route=\"{route}\",upstream=\"{upstream}\"}}"
    )
}

impl Bench {
    /// Starts a generation that is answered. `listed` is the name under which the upstream lists the model, if it does.
    fn generated(&self, name: &str, listed: Option<&str>) -> Measurement {
        let mut measurement = self.meter.start(Facts::new("POST", "/api/generate"));
        measurement.model_named(name);
        measurement.model_listed(listed);
        measurement.upstream_chosen("u");
        measurement.responded(StatusCode::OK);
        measurement
    }

    fn generates(&self, name: &str, listed: Option<&str>) {
        drain(&mut Box::pin(
            self.generated(name, listed).wrap_body(NDJSON, script([Data(FIRST), Data(LAST)])),
        ));
    }

    /// Returns the number of responses that are counted for a model.
    fn answers(&self, model: &str) -> Option<f64> {
        self.value(&ended("u", "generate", model, "complete"))
    }
}

#[test]
fn model_spellings_share_the_listed_label() {
    let bench = bench();
    for name in [
        "Ada/Qwen:8B",
        "ada/qwen:8b",
        "registry.ollama.ai/ADA/QWEN:8b",
        "https://registry.ollama.ai/ada/qwen:8B",
    ] {
        bench.generates(name, Some("Ada/Qwen:8b"));
    }
    assert_eq!(bench.answers("Ada/Qwen:8b"), Some(4.0));
    assert_eq!(bench.value("tokens_total{kind=\"output\",model=\"Ada/Qwen:8b\"}"), Some(8.0));
    assert!(!bench.scrape().contains("model=\"other\""), "{}", bench.scrape());
}

#[test]
fn model_listed_by_no_upstream_gets_no_label() {
    let bench = bench();
    bench.generates("gpt-oss:120b-cloud", None);
    assert_eq!(bench.answers("other"), Some(1.0));
    assert!(!bench.scrape().contains("gpt-oss"));
}

#[test]
fn model_in_use_takes_label_of_least_recently_used_and_change_is_counted() {
    let bench = bench_with(Config { model_limit: 2, ..Config::default() });
    let dropped = || bench.value("model_labels_dropped_total");
    for model in ["a:1", "b:1", "a:1"] {
        bench.generates(model, Some(model));
    }
    assert_eq!((bench.answers("a:1"), bench.answers("b:1"), dropped()), (Some(2.0), Some(1.0), Some(0.0)));
    // A model that only fails takes no label.
    let mut failed = bench.meter.start(Facts::new("POST", "/api/generate"));
    failed.model_named("c:1");
    failed.model_listed(Some("c:1"));
    failed.upstream_chosen("u");
    failed.responded(StatusCode::INTERNAL_SERVER_ERROR);
    failed.finish(Outcome::UpstreamError);
    assert_eq!(bench.value(&ended("u", "generate", "other", "upstream_error")), Some(1.0));

    bench.generates("c:1", Some("c:1"));
    assert_eq!((bench.answers("c:1"), bench.answers("a:1"), dropped()), (Some(1.0), Some(2.0), Some(1.0)));
    assert!(!bench.scrape().contains("b:1"), "its series have ended: {}", bench.scrape());
    bench.generates("b:1", Some("b:1"));
    assert_eq!((bench.answers("b:1"), bench.answers("a:1")), (Some(1.0), None), "its counters start again");
}

#[test]
fn model_with_running_stream_keeps_its_label() {
    let bench = bench_with(Config { model_limit: 1, ..Config::default() });
    let mut running =
        Box::pin(bench.generated("a", Some("a:latest")).wrap_body(NDJSON, script([Data(FIRST), Data(LAST)])));
    assert!(poll(&mut running).is_ready());
    bench.generates("b", Some("b:latest"));
    assert_eq!(bench.answers("other"), Some(1.0));
    drain(&mut running);
    drop(running);
    assert_eq!(bench.answers("a:latest"), Some(1.0));
    bench.generates("b", Some("b:latest"));
    assert_eq!((bench.answers("b:latest"), bench.answers("a:latest")), (Some(1.0), None));
    assert_eq!(bench.value("records_total{kind=\"terminal\",model=\"b:latest\"}"), Some(1.0));
}

#[test]
fn model_in_memory_has_its_label_before_its_first_request() {
    let bench = bench_with(Config { model_limit: 2, ..Config::default() });
    let models = ["library/A", "b:1", "c:1"].map(|name| InMemory { name, ..InMemory::default() });
    bench.meter.loaded("u", Instant::now(), models);
    let labels = ["a", "B:1", "c:1"].map(|name| bench.meter.model_label(name));
    assert_eq!(labels, ["A:latest", "b:1", "other"]);
}

#[test]
fn outcome_counters_of_accepted_request_exist_at_zero_before_it_ends() {
    let bench = bench();
    let zeros = |upstream: &str, route: &str, model: &str| {
        let is_zero = |outcome: &&str| bench.value(&ended(upstream, route, model, outcome)) == Some(0.0);
        Outcome::ALL.map(Outcome::label).into_iter().filter(is_zero).collect::<Vec<_>>()
    };
    let accepted = bench.meter.start(Facts::new("POST", "/api/generate"));
    assert_eq!(zeros("none", "generate", "unknown"), ["client_error", "client_abort", "refused"]);
    drop(accepted);

    let mut stream = bench.meter.start(Facts::new("POST", "/api/generate"));
    stream.model_named("m");
    stream.model_listed(Some("m:latest"));
    stream.upstream_chosen("u");
    let all = Outcome::ALL.map(Outcome::label);
    assert_eq!(zeros("u", "generate", "m:latest"), all[..all.len() - 1], "it cannot end in a late error");
    let mut list = bench.meter.start(Facts::new("GET", "/api/tags"));
    list.upstream_chosen("u");
    assert_eq!(zeros("u", "tags", "none"), ["complete", "upstream_error", "client_error", "client_abort"]);
    let mut embedding = bench.meter.start(Facts::new("POST", "/api/embed"));
    embedding.model_named("not listed");
    embedding.upstream_chosen("u");
    let of_embedding = ["complete", "upstream_error", "client_error", "client_abort", "refused"];
    assert_eq!(zeros("u", "embed", "other"), of_embedding);
}

#[test]
fn model_that_has_just_answered_is_in_memory() {
    const QUICK: &str =
        "{\"done\":true,\"eval_count\":2,\"total_duration\":3000000,\"load_duration\":1000000}\n";
    let bench = bench();
    let answer = |mut stream: Measurement, last| {
        stream.responded(StatusCode::OK);
        drain(&mut Box::pin(stream.wrap_body(NDJSON, script([Data(FIRST), Data(last)]))));
    };
    answer(self::sent(&bench), QUICK);
    // Both report a wait of 0.7 s, and the list of models in memory is not known.
    let (one, other) = (self::sent(&bench), self::sent(&bench));
    answer(one, LAST);
    answer(other, LAST);
    assert_eq!(loads_of(&bench), 0.0);
}

#[test]
fn loads_are_judged_by_memory_and_usual_waits_not_by_a_long_wait() {
    let bench = bench();
    let loads = || Some(loads_of(&bench));
    let in_memory = |names: &[&str]| {
        let models = names.iter().map(|name| InMemory { name, ..InMemory::default() });
        bench.meter.loaded("u", Instant::now(), models);
    };
    // Each response reports that it waited 0.7 s for the model.
    let burst = || {
        let streams: Vec<_> = (0..32).map(|_| self::sent(&bench)).collect();
        for mut stream in streams {
            stream.responded(StatusCode::OK);
            drain(&mut Box::pin(stream.wrap_body(NDJSON, script([Data(FIRST), Data(LAST)]))));
        }
    };
    in_memory(&["a:1"]);
    drop(self::sent(&bench));
    assert_eq!(loads(), Some(0.0), "there before it moves");
    burst();
    assert_eq!(loads(), Some(0.0), "it is in memory");
    in_memory(&[]);
    burst();
    assert_eq!(loads(), Some(1.0), "32 wait for one load");
    // No answer reports this load, and no running request can.
    in_memory(&[]);
    thread::sleep(Duration::from_millis(1));
    in_memory(&["a:1"]);
    assert_eq!(loads(), Some(1.0), "it is the same load, whose 0.7 s are not over");
}

/// Returns the loads of the model `a:1`, with every cause.
fn loads_of(bench: &Bench) -> f64 {
    let series = |cause: LoadCause| {
        format!("model_loads_total{{cause=\"{}\",model=\"a:1\",upstream=\"u\"}}", cause.label())
    };
    LoadCause::ALL
        .map(|cause| bench.value(&series(cause)).expect("each cause is there before it moves"))
        .iter()
        .sum()
}

fn sent(bench: &Bench) -> Measurement {
    let mut measurement = bench.meter.start(Facts::new("POST", "/api/generate"));
    measurement.model_named("a:1");
    measurement.model_listed(Some("a:1"));
    measurement.upstream_chosen("u");
    measurement.live().request_sent();
    measurement
}
