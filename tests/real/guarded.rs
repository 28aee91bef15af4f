//! The official clients with everything between them and Ollama: a required key, two upstreams of which one has the
//! model, and an image of 20 MB. The results equal the direct ones.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{
    clients::{arguments, run, told},
    direct::Direct,
    ollama::{MODEL, Ollama},
    process::{Process, scratch},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

const KEY: &str = "sesame";
/// The bytes of the image. The request has 27 MB in Base64, and OpenAI's client for Python names the model after
/// the image.
const IMAGE: &str = "20000000";

/// The first upstream has the models.
fn guarded(first: &str, second: &str) -> Sidecar {
    let settings = format!(
        "[access]\nrequire_key = true\n[[key]]\nname = \"tester\"\nkey_env = \"KEY\"\n\
         [[upstream]]\nname = \"first\"\nurl = \"{first}\"\n[[upstream]]\nname = \"second\"\nurl = \"{second}\"\n"
    );
    let sidecar = Sidecar::of(&settings, [("KEY".to_owned(), KEY.to_owned())]);
    for name in ["first", "second"] {
        sidecar.until("upstream_up", &[&format!("upstream=\"{name}\"")], 1.0);
    }
    sidecar
}

fn official_clients_with_key_and_two_upstreams_get_the_same_as_directly(version: Version) {
    let (first, second) = (Ollama::start(version, 1), Ollama::without_models(version));
    let sidecar = guarded(&first.url, &second.url);
    let mut runs = Vec::new();
    for client in [
        "python_ollama.py",
        "python_openai.py",
        "python_anthropic.py",
        "js_ollama.mjs",
        "js_openai.mjs",
        "js_anthropic.mjs",
    ] {
        if client.contains("anthropic") && !version.runs_llama_server() {
            continue;
        }
        let ask = |url: &str, key| run(client, &arguments(client, url), key);
        let direct = Direct::new(&first, || ask(&first.url, None));
        runs.push(direct.agrees(client, Value::clone, || ask(&sidecar.url, Some(KEY))));
    }
    let caller = r#"caller="tester""#;
    for (kind, sum) in [("prompt", "prompt_tokens"), ("output", "output_tokens")] {
        let kind = format!("kind=\"{kind}\"");
        sidecar.until("caller_tokens_total", &[caller, &kind], told(&runs, sum));
    }
    assert_eq!(sidecar.sum("requests_total", &[r#"outcome="client_abort""#]), 0.0, "{}", sidecar.metrics());
}

fn image_of_20_mb_gets_the_same_response_as_directly(version: Version) {
    let (first, second) = (Ollama::start(version, 1), Ollama::without_models(version));
    let sidecar = guarded(&first.url, &second.url);
    for client in ["python_image.py", "js_image.mjs"] {
        // The model reads text only. Ollama's response does not matter, but each request must reach Ollama.
        let ask = |url: &str, key| run(client, &[url, MODEL, IMAGE], key);
        let direct = Direct::new(&first, || ask(&first.url, None));
        direct.agrees(client, Value::clone, || ask(&sidecar.url, Some(KEY)));
    }
    for path in ["/api/chat", "/v1/chat/completions"] {
        assert_eq!(second.asked(path), 0, "{path} reached the upstream that lacks the model");
    }
}

/// A simulated Ollama with one model, and the folder of its log.
fn simulated(model: &str) -> (TempDir, Process) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args(["simulate", "--listen", "127.0.0.1:0", "--load-time", "0s", "--prefill-rate", "0"]);
    simulate.args(["--tokens", "8", "--rate", "0", "--model", model]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    (scratch, simulate)
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn image_of_20_mb_reaches_the_upstream_that_has_the_model() {
    let (has, lacks) = (simulated(MODEL), simulated("other"));
    let [first, second] = [&has, &lacks].map(|(_, one)| format!("http://{}", one.address("ollama=")));
    let sidecar = guarded(&first, &second);
    for client in ["python_image.py", "js_image.mjs"] {
        let direct = run(client, &[&first, MODEL, IMAGE], None);
        for (step, answer) in direct.as_object().unwrap() {
            assert!(answer.get("status").is_none(), "{client}: {step}: {answer}");
        }
        assert_eq!(run(client, &[&sidecar.url, MODEL, IMAGE], Some(KEY)), direct, "{client}");
    }
    // Five requests of each client, each with its own model name.
    let complete = |upstream: &str| {
        let (upstream, model) = (format!("upstream=\"{upstream}\""), format!("model=\"{MODEL}:latest\""));
        sidecar.sum("requests_total", &[&upstream, &model, r#"outcome="complete""#])
    };
    sidecar.until("requests_total", &[r#"upstream="first""#, r#"outcome="complete""#], 10.0);
    assert_eq!((complete("first"), complete("second")), (10.0, 0.0), "{}", sidecar.metrics());
}

on_every_ollama! {
    official_clients_with_key_and_two_upstreams_get_the_same_as_directly,
    image_of_20_mb_gets_the_same_response_as_directly,
}
