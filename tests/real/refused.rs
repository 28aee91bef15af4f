//! Refusals as the official clients report them: their error classes and their retries.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{
    clients::program,
    process::{Process, cache, scratch},
    sidecar::Sidecar,
};

/// One request in this many seconds. It is longer than a client takes for its first request.
const EACH: f64 = 6.0;

/// The error classes of OpenAI's clients for 401, 403, 429 and 503.
const OPENAI: [&str; 4] =
    ["AuthenticationError", "PermissionDeniedError", "RateLimitError", "InternalServerError"];

/// A simulated Ollama with one stream and no queue, and with keys of each kind.
fn guarded(simulator: &str) -> Sidecar {
    let key = |name: &str, more: &str| {
        let env = name.to_ascii_uppercase().replace('-', "_");
        (format!("[[key]]\nname = \"{name}\"\nkey_env = \"{env}\"\n{more}\n"), (env, name.to_owned()))
    };
    let limited = |per_minute: f64| format!("requests = \"{per_minute}/min\"\nrequests_burst = 1");
    let (keys, variables): (Vec<_>, Vec<_>) = [
        key("open", ""),
        key("closed", "routes = [\"tags\"]"),
        key("limited-one", &limited(1.0)),
        key("limited-two", &limited(1.0)),
        key("limited-three", &limited(60.0 / EACH)),
        key("limited-four", "requests = \"1/h\""),
    ]
    .into_iter()
    .unzip();
    let settings = format!(
        "[access]\nrequire_key = true\n[queue]\nsize = 0\n\
         [[upstream]]\nname = \"sim\"\nurl = \"http://{simulator}\"\nmax_streams = 1\n{}",
        keys.concat()
    );
    Sidecar::of(&settings, variables)
}

/// A simulated Ollama, and the folder of its log.
fn simulated() -> (TempDir, Process) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args([
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--load-time",
        "0s",
        // For two seconds, no other request is admitted.
        "--tokens",
        "80",
        "--rate",
        "40",
    ]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    (scratch, simulate)
}

/// The differences between the clients of two languages.
struct Habits {
    /// The classes of OpenAI's errors for 401, 403, 429 and 503.
    openai: [&'static str; 4],
    /// The result of Ollama's client with `OLLAMA_API_KEY` alone, at a host other than ollama.com.
    by_variable: u64,
    /// The requests of OpenAI's client that are refused while the wait is an hour.
    long: f64,
}

fn gets_its_own_errors_and_waits_as_told(client: &str, habits: &Habits) {
    let (_scratch, simulate) = simulated();
    let sidecar = guarded(&simulate.address("ollama="));

    let output = program(client).arg(&sidecar.url).output().unwrap();
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = [
        ("no_key", 401, "the key is not known"),
        ("closed", 403, "not open to this caller"),
        ("limited", 429, "try again in"),
        ("full", 503, "the queue is full"),
    ];
    for ((step, status, said), class) in steps.into_iter().zip(habits.openai) {
        for (family, class) in [("ollama", "ResponseError"), ("openai", class)] {
            let error = &seen[family][step];
            assert_eq!(
                (error["status"].as_u64(), error["class"].as_str()),
                (Some(status), Some(class)),
                "{seen}"
            );
            assert!(error["text"].as_str().unwrap().contains(said), "{seen}");
        }
    }
    // The last client's second request was refused once, waited as long as it was told, and was admitted.
    let waited = seen["retried"].as_f64().unwrap();
    assert!((EACH - 1.5..EACH + 10.0).contains(&waited), "{waited} s");
    // If the wait is an hour, no client waits.
    assert_eq!(seen["long"]["class"].as_str(), Some("RateLimitError"), "{seen}");
    assert!(seen["long"]["waited"].as_f64().unwrap() < 60.0, "{seen}");
    assert_eq!(seen["by_variable"].as_u64(), Some(habits.by_variable), "{seen}");
    sidecar.until("admission_total", &[r#"reason="requests""#], 3.0 + habits.long);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn python_clients_raise_their_own_errors_and_obey_retry_after() {
    // It raises an error at once, and sends the variable to any host.
    let habits = Habits { openai: OPENAI, by_variable: 200, long: 1.0 };
    gets_its_own_errors_and_waits_as_told("python_refused.py", &habits);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn javascript_clients_raise_their_own_errors_and_obey_retry_after() {
    // It retries twice after its own delay, and sends the variable to ollama.com only.
    let habits = Habits { openai: OPENAI, by_variable: 401, long: 3.0 };
    gets_its_own_errors_and_waits_as_told("js_refused.mjs", &habits);
}

#[test]
#[ignore = "needs the command ollama; tests/real/install.sh"]
fn ollama_command_cannot_send_a_key() {
    let (scratch, simulate) = simulated();
    let sidecar = guarded(&simulate.address("ollama="));
    let mut list = Command::new(cache("bin/ollama"));
    list.arg("list").env("HOME", scratch.path());
    list.env("OLLAMA_HOST", &sidecar.url).env("OLLAMA_API_KEY", "open");
    let output = list.output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // Its first request, which checks whether a server is there.
    sidecar.until("admission_total", &[r#"reason="no_key""#], 1.0);
}
