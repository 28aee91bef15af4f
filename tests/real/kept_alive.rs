//! Keep-alive lines as the official clients read them: streams that are late, and errors that are late.

use std::process::Command;

use serde_json::Value;

use super::{
    clients::program,
    process::{Process, scratch},
    sidecar::Sidecar,
};

const CALLS: [&str; 4] = ["chat", "completion", "response", "message"];

/// A sidecar that sends keep-alive lines, with one slot.
fn kept_alive(simulator: &str, queue_timeout: &str) -> Sidecar {
    let settings = format!(
        "[queue]\ntimeout = \"{queue_timeout}\"\n\
         [[upstream]]\nname = \"sim\"\nurl = \"http://{simulator}\"\nmax_streams = 1\n"
    );
    Sidecar::of(&settings, [("STREAMGAUGE_PROXY__SSE_KEEP_ALIVE".to_owned(), "50ms".to_owned())])
}

fn reads_late_streams_and_raises_late_errors(client: &str, classes: [&str; 4]) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args([
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--load-time",
        "0s",
        "--tokens",
        "80",
        "--rate",
        "40",
    ]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    let simulator = simulate.address("ollama=");
    let (patient, hasty) = (kept_alive(&simulator, "1m"), kept_alive(&simulator, "500ms"));

    let output = program(client).args([&patient.url, &hasty.url]).output().unwrap();
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (call, class) in CALLS.into_iter().zip(classes) {
        let stream = &seen["streams"][call];
        let [head, first] = ["head", "first"].map(|at| stream[at].as_f64().unwrap());
        // The slot is held for two seconds.
        assert!(first - head > 0.5, "{call}: {stream}");
        assert!(stream["text"].as_str().unwrap().len() > 80, "{call}: {stream}");
        let failure = &seen["failures"][call];
        assert_eq!(failure["class"], class, "{call}: {failure}");
        assert!(
            failure["text"].as_str().unwrap().contains("no slot became free in time"),
            "{call}: {failure}"
        );
        // No client takes the error for one with its own status.
        assert!(failure["status"].as_u64().is_none_or(|status| status == 200), "{call}: {failure}");
    }
    patient.until("requests_total", &[r#"outcome="complete""#], 8.0);
    hasty.until("requests_total", &[r#"outcome="complete""#], 4.0);
    // No client has sent its request again.
    hasty.until("requests_total", &[r#"outcome="late_error""#], 4.0);
    assert_eq!(hasty.sum("responses_total", &[r#"code="503""#]), 0.0);
    assert_eq!(hasty.sum("responses_total", &[r#"code="200""#]), 8.0);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn python_clients_read_late_streams_and_raise_late_errors() {
    let classes = ["APIError", "APIError", "APIError", "APIStatusError"];
    reads_late_streams_and_raises_late_errors("python_kept_alive.py", classes);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn javascript_clients_read_late_streams_and_raise_late_errors() {
    let classes = ["APIError", "APIError", "APIError", "APIError"];
    reads_late_streams_and_raises_late_errors("js_kept_alive.mjs", classes);
}
