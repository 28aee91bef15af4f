//! Refusals, as the official clients tell them: their own errors, and their own patience.

use std::process::Command;

use serde_json::Value;

use super::{
    clients::program,
    process::{Process, scratch},
    sidecar::Sidecar,
};

/// One request in so many seconds of who waits for the next one; longer than a client takes for its first.
const EACH: f64 = 6.0;

/// A simulated Ollama that takes one stream at a time and lets nobody wait, with keys of each kind.
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

fn gets_its_own_errors_and_waits_as_told(client: &str, openai: [&str; 4]) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args([
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--load-time",
        "0s",
        // For two seconds nobody else gets in.
        "--tokens",
        "80",
        "--rate",
        "40",
    ]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    let sidecar = guarded(&simulate.address("ollama="));

    let output = program(client).arg(&sidecar.url).output().unwrap();
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = [
        ("no_key", 401, "not known here"),
        ("closed", 403, "not open to this caller"),
        ("limited", 429, "try again in"),
        ("full", 503, "the queue is full"),
    ];
    for ((step, status, said), class) in steps.into_iter().zip(openai) {
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
    // The last one's second request was refused once, waited as long as it was told, and got in.
    let waited = seen["retried"].as_f64().unwrap();
    assert!((EACH - 1.5..EACH + 10.0).contains(&waited), "{waited} s");
    sidecar.until("admission_total", &[r#"reason="requests""#], 3.0);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn the_python_clients_have_their_own_errors_and_wait_as_told() {
    let openai = ["AuthenticationError", "PermissionDeniedError", "RateLimitError", "InternalServerError"];
    gets_its_own_errors_and_waits_as_told("python_refused.py", openai);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn the_javascript_clients_have_their_own_errors_and_wait_as_told() {
    let openai = ["AuthenticationError", "PermissionDeniedError", "RateLimitError", "InternalServerError"];
    gets_its_own_errors_and_waits_as_told("js_refused.mjs", openai);
}
