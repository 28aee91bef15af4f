//! A fault of the simulated Ollama, all the way to the receiver of alerts.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Command,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use serde_json::{Value, json};

use super::{
    process::{Process, cache, scratch},
    stack::{Stack, port, until},
};

/// A webhook: its address, and the alerts that it receives.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = sync_channel(64);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut reader = BufReader::new(connection.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let field = line.to_ascii_lowercase();
                if let Some(value) = field.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            if tell.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Alertmanager; tests/real/install.sh"]
async fn wedged_ollama_sends_alert_to_alertmanager() {
    let (hook, told) = webhook();
    let folder = scratch();
    let file = folder.path().join("alertmanager.yml");
    let configuration = format!(
        "route: {{receiver: hook, group_wait: 1s, group_by: [alertname]}}\n\
         receivers: [{{name: hook, webhook_configs: [{{url: 'http://{hook}/'}}]}}]\n"
    );
    fs::write(&file, configuration).unwrap();
    let address = format!("127.0.0.1:{}", port());
    let mut command = Command::new(cache("bin/alertmanager"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.path().display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=");
    let alertmanager = Process::start(&mut command, folder.path().join("alertmanager.log"));

    // Every stream stops after some tokens, for longer than the test waits.
    let stack =
        Stack::start(&["--model", "sim", "--faults", "stall=1:600s"], "", Some(&address), false).await;
    let url = format!("http://{}/api/generate", stack.proxy);
    let body = json!({"model": "sim", "prompt": "why is the sky blue"});
    let stuck = tokio::spawn(async move {
        reqwest::Client::new().post(url).json(&body).send().await.unwrap().bytes().await
    });

    let wedged = |alert: &Value| alert["labels"]["alertname"] == "StreamgaugeUpstreamWedged";
    let arrived = until(
        async || {
            told.try_iter().find_map(|post| post["alerts"].as_array()?.iter().find(|a| wedged(a)).cloned())
        },
        || format!("{}\n{}", alertmanager.log(), stack.logs()),
    )
    .await;
    stuck.abort();
    assert_eq!(arrived["status"], "firing");
    assert_eq!(arrived["labels"]["upstream"], "sim");
    assert_eq!(arrived["labels"]["severity"], "critical");
    assert_eq!(arrived["annotations"]["summary"], "Streams of Ollama sim have stopped");
    assert!(arrived["annotations"]["description"].as_str().unwrap().contains("silent for 1."), "{arrived}");
    assert!(
        arrived["annotations"]["runbook_url"]
            .as_str()
            .unwrap()
            .ends_with("docs/how-to/alerts.md#streamgaugeupstreamwedged")
    );
}
