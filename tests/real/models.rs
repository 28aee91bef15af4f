//! Models come and go in the real Ollama's memory, and the metrics report it.

use serde_json::{Value, json};

use super::{
    answer::{get, post},
    ollama::{EMBEDDER, MODEL, Ollama},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// Short intervals, since the test need not wait for the defaults.
const SOON: [(&str, &str); 2] =
    [("STREAMGAUGE_COLLECTORS__MODELS", "200ms"), ("STREAMGAUGE_UPSTREAMS__HEALTH_INTERVAL", "500ms")];

fn label(model: &str) -> String {
    format!(r#"model="{model}:latest""#)
}

/// The entry of a model in `/api/ps`, if it is in memory.
fn ps(ollama: &Ollama, model: &str) -> Option<Value> {
    let answer = get(&ollama.url, "/api/ps").json();
    let models = answer["models"].as_array().unwrap();
    models.iter().find(|one| one["model"] == format!("{model}:latest")).cloned()
}

fn generate(sidecar: &Sidecar) {
    let body = json!({"model": MODEL, "prompt": "Hello.", "stream": false});
    let answer = post(&sidecar.url, "/api/generate", &body).json();
    assert!(answer["load_duration"].is_u64(), "{answer}");
}

fn model_load_unload_and_reload_are_shown(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start_with(&ollama, &SOON);
    let talker = label(MODEL);
    let loaded = |model: &str, value: f64| sidecar.until("model_loaded", &[&label(model)], value);
    let shows = |metric: &str| sidecar.sum(metric, &[&talker]);

    // It was loaded before the sidecar started.
    loaded(MODEL, 1.0);
    let told = ps(&ollama, MODEL).unwrap();
    assert_eq!(shows("model_size_bytes"), told["size"].as_f64().unwrap(), "{told}");
    assert_eq!(shows("model_vram_bytes"), told["size_vram"].as_f64().unwrap(), "{told}");
    assert_eq!(shows("model_context_length"), told["context_length"].as_f64().unwrap(), "{told}");
    let expires = shows("model_expires_seconds");
    assert!((60.0..=300.0).contains(&expires), "five minutes after it was loaded: {expires}");

    generate(&sidecar);
    assert_eq!(shows("model_loads_total"), 0.0, "it was there");
    for _ in 0..2 {
        post(&sidecar.url, "/api/generate", &json!({"model": MODEL, "keep_alive": 0, "stream": false}));
        loaded(MODEL, 0.0);
        assert!(!sidecar.metrics().contains(&format!(r#"_model_size_bytes{{upstream="real",{talker}}}"#)));
        generate(&sidecar);
        loaded(MODEL, 1.0);
    }
    // Two reloads, found by their wait or in the list of models in memory.
    sidecar.until("model_loads_total", &[&talker], 2.0);

    // Another model, which stays. Ollama decides whether both fit.
    post(&sidecar.url, "/api/embed", &json!({"model": EMBEDDER, "input": "x", "keep_alive": -1}));
    loaded(EMBEDDER, 1.0);
    loaded(MODEL, f64::from(u8::from(ps(&ollama, MODEL).is_some())));
    let page = sidecar.metrics();
    assert!(
        !page.contains(&format!(r#"_model_expires_seconds{{upstream="real",{}}}"#, label(EMBEDDER))),
        "{page}"
    );
    assert_eq!(sidecar.sum("collector_up", &[r#"collector="models""#]), 1.0);
}

/// Two callers that ask for different contexts make the model reload with each request.
fn model_load_has_its_cause(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start_with(&ollama, &SOON);
    let ask = |options: Value, keep_alive: Value| {
        let ask = json!({
            "model": MODEL, "prompt": "x", "stream": false, "keep_alive": keep_alive, "options": options,
        });
        post(&sidecar.url, "/api/generate", &ask);
    };
    let options = |context: u32, batch: u32| json!({"num_predict": 2, "num_thread": 1, "num_ctx": context, "num_batch": batch});
    let is = |cause: &str, count: f64| {
        sidecar.until("model_loads_total", &[&label(MODEL), &format!("cause=\"{cause}\"")], count);
    };
    sidecar.until("model_loaded", &[&label(MODEL)], 1.0);
    ask(options(512, 128), json!("5m"));
    is("context", 1.0);
    for times in 1..=2 {
        ask(options(1_024, 128), json!("5m"));
        is("context", f64::from(2 * times));
        ask(options(512, 128), json!("5m"));
        is("context", f64::from(2 * times + 1));
    }
    ask(options(512, 64), json!(0));
    is("options", 1.0);
    sidecar.until("model_loaded", &[&label(MODEL)], 0.0);
    ask(options(512, 64), json!("5m"));
    is("expired", 1.0);
    for cause in ["first", "evicted", "restart"] {
        assert_eq!(sidecar.sum("model_loads_total", &[&format!("cause=\"{cause}\"")]), 0.0, "{cause}");
    }
}

on_every_ollama! {
    model_load_unload_and_reload_are_shown,
    model_load_has_its_cause,
}
