//! Refusals of large requests that come while the clients still send: each client reads its refusal.

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    clients::program,
    process::{Process, cache, scratch},
    sidecar::Sidecar,
};

/// A sidecar that admits nobody, in front of a simulated Ollama.
fn closed() -> (Process, Sidecar) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args(["simulate", "--listen", "127.0.0.1:0"]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    let upstream = simulate.address("ollama=");
    let settings = format!(
        "[access]\nrequire_key = true\n[[upstream]]\nname = \"sim\"\nurl = \"http://{upstream}\"\n\
         [[key]]\nname = \"alice\"\nkey_env = \"ALICE\"\n"
    );
    let sidecar = Sidecar::of(&settings, [("ALICE".to_owned(), "sesame".to_owned())]);
    (simulate, sidecar)
}

fn reads_each_refusal(client: &str, count: usize) {
    let (_simulate, sidecar) = closed();
    let output = program(client).arg(&sidecar.url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client}: {said}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let clients = seen.as_object().unwrap();
    assert_eq!(clients.len(), count, "{seen}");
    for (name, answers) in clients {
        let answers = answers.as_object().unwrap();
        assert_eq!(answers.len(), 4, "{seen}");
        assert!(answers.values().all(|read| read == 10), "{name}: {answers:?} of ten each\n{said}");
    }
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn python_clients_read_refusal_of_large_request() {
    reads_each_refusal("python_early.py", 4);
}

#[test]
#[ignore = "needs the official clients; tests/real/install.sh"]
fn javascript_clients_read_refusal_of_large_request() {
    reads_each_refusal("js_early.mjs", 3);
}

#[test]
#[ignore = "needs curl; tests/real/install.sh"]
fn curl_reads_refusal_of_large_request() {
    let (_simulate, sidecar) = closed();
    let scratch = scratch();
    let body = scratch.path().join("body");
    for bytes in [100_000, 1_000_000, 5_000_000, 20_000_000] {
        fs::write(&body, vec![b'a'; bytes]).unwrap();
        // With and without `Expect: 100-continue`, which curl sends by default.
        for expect in ["Expect: 100-continue", "Expect:"] {
            for _ in 0..10 {
                let mut curl = Command::new(cache("bin/curl"));
                curl.args(["-sS", "-w", "%{http_code}", "-H", expect, "--data-binary"]);
                curl.arg(format!("@{}", body.display())).arg(format!("{}/api/chat", sidecar.url));
                let output = curl.env("NO_PROXY", "*").output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(said.ends_with("}401"), "{bytes} bytes, {expect:?}: {said} {error}");
            }
        }
    }
}
