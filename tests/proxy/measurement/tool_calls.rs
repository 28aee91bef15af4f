//! Tool calls in front of each version of Ollama: the silence before a call counts as generation and not as queue.

use std::time::Duration;

use serde_json::json;
use streamgauge_simulate::{ChatPath, Config, OllamaVersion, Simulator};

use crate::harness::*;

/// The tokens of a call.
const TOKENS: f64 = 30.0;
/// Tokens per second.
const RATE: f64 = 50.0;

/// The sidecar's address after one streamed chat with a tool, answered by a call only.
async fn called(version: OllamaVersion, chat: ChatPath) -> Sidecar {
    let simulated = Config {
        version,
        chat,
        rate: RATE,
        tokens: TOKENS as u32,
        jitter: 0.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        ..Config::default()
    };
    let simulator = Simulator::bind(simulated).unwrap();
    let direct = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    let sidecar = sidecar(config(direct)).await;
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {}}});
    let ask = json!({
        "model": "sim", "messages": [{"role": "user", "content": "x"}], "tools": [tool],
        "options": {"num_predict": TOKENS as u32},
    });
    let request = reqwest::Client::new().post(format!("http://{}/api/chat", sidecar.proxy)).json(&ask);
    assert!(request.send().await.unwrap().text().await.unwrap().contains("tool_calls"));
    sidecar.until(&ended("chat", "sim:latest", "complete"), 1.0).await;
    sidecar
}

fn phase(sidecar: &Sidecar, phase: &str) -> f64 {
    sidecar.value(&format!("phase_seconds_sum{{model=\"sim:latest\",phase=\"{phase}\"}}"))
}

#[tokio::test]
async fn tool_call_silence_is_decode_and_not_queue_in_each_version() {
    for (version, chat) in [
        (OllamaVersion::V0_12, ChatPath::GoTemplate),
        (OllamaVersion::V0_33, ChatPath::GoTemplate),
        (OllamaVersion::V0_33, ChatPath::Native),
        (OllamaVersion::V0_34, ChatPath::Native),
    ] {
        let sidecar = called(version, chat).await;
        let eval = phase(&sidecar, "eval");
        assert!(eval > 0.3, "{version:?} {chat:?}: {eval} s of eval");
        let (queue, decode) = (phase(&sidecar, "queue"), phase(&sidecar, "decode"));
        // The time that the simulated 0.12 leaves out of its eval_duration cannot be distinguished from a queue.
        assert!(queue < TOKENS / RATE - eval + 0.25, "{version:?} {chat:?}: {queue} s of queue");
        assert!(decode > 0.9 * eval, "{version:?} {chat:?}: {decode} s of decode, {eval} s of eval");
    }
}

#[tokio::test]
async fn tool_call_in_last_record_counts_as_both_kinds() {
    let sidecar = called(OllamaVersion::V0_34, ChatPath::Native).await;
    for kind in ["terminal", "tool_call"] {
        let series = format!("records_total{{model=\"sim:latest\",kind=\"{kind}\"}}");
        assert_eq!(sidecar.value(&series), 1.0, "{kind}");
    }
}
