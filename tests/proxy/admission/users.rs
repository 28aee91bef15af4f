//! Users that a trusted key names in a header field.

use serde_json::Value;
use streamgauge::admission::{CallerHeader, Limits};

use super::key;
use crate::harness::*;

fn of(secret: &str, user: &str) -> String {
    let fields = format!("\r\nAuthorization: Bearer {secret}\r\nX-OpenWebUI-User-Email: {user}\r\n");
    post_once("/api/generate", "{\"model\":\"m\"}").replacen("\r\n", &fields, 1)
}

#[tokio::test]
async fn each_user_of_a_trusted_key_has_streams_of_its_own() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    let limits = Limits { max_streams: Some(1), ..Limits::default() };
    config.admission.keys = vec![key("openwebui", "sesame", limits), key("alice", "mellon", limits)];
    config.admission.caller_header = Some(CallerHeader {
        name: "x-openwebui-user-email".parse().unwrap(),
        keys: vec!["openwebui".to_owned()],
    });
    let sidecar = sidecar(config).await;
    let head = STREAM.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let end = [&head, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat();

    let ada = sidecar.send(&of("sesame", "ada@example.org")).await;
    let asked_by_ada = upstream.asked().await;
    assert!(asked_by_ada.head.contains("ada@example.org"), "the field is forwarded: {}", asked_by_ada.head);
    let again = sidecar.send(&of("sesame", "ada@example.org")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    let bob = sidecar.send(&of("sesame", "bob")).await;
    let asked_by_bob = upstream.asked().await;
    assert!(asked_by_bob.head.contains("bob"), "{}", asked_by_bob.head);
    // The field of another key names nobody.
    let alice = sidecar.send(&of("mellon", "ada@example.org")).await;
    let asked_by_alice = upstream.asked().await;
    let second = sidecar.send(&of("mellon", "carol")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 2.0).await;
    let streams: Value = serde_json::from_str(&sidecar.page("/streams").await.1).unwrap();
    let place = |one: &Value| (one["caller"].as_str().unwrap().to_owned(), one["queue_position"].as_u64());
    let seen: Vec<_> = streams["streams"].as_array().unwrap().iter().map(place).collect();
    let at = |caller: &str, position| (caller.to_owned(), position);
    let ada_at = |position| at("openwebui/ada@example.org", position);
    let expected =
        [ada_at(None), ada_at(Some(1)), at("openwebui/bob", None), at("alice", None), at("alice", Some(2))];
    assert_eq!(seen, expected);
    assert_eq!((sidecar.value("requests_running"), sidecar.value("requests_waiting")), (3.0, 2.0));
    assert_eq!(sidecar.value("slots{upstream=\"gpu0\",state=\"busy\"}"), 3.0);
    upstream.was_not_asked();

    // The next request comes on a new connection, since each of these is dropped.
    for (client, mut asked) in [(ada, asked_by_ada), (bob, asked_by_bob), (alice, asked_by_alice)] {
        asked.body(13).await;
        asked.write(&end).await;
        assert!(client.rest().await.ends_with("0\r\n\r\n"));
    }
    for _ in 0..2 {
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&end).await;
    }
    assert!(again.rest().await.ends_with("0\r\n\r\n") && second.rest().await.ends_with("0\r\n\r\n"));
    let ended = |caller: &str| format!("caller_requests_total{{caller=\"{caller}\",outcome=\"complete\"}}");
    sidecar.until(&ended("openwebui/ada@example.org"), 2.0).await;
    sidecar.until(&ended("openwebui/bob"), 1.0).await;
    sidecar.until(&ended("alice"), 2.0).await;
    assert_eq!(sidecar.value(&ended("openwebui")), 0.0);
    let dispatches = |reason: &str| format!("dispatches_total{{upstream=\"gpu0\",reason=\"{reason}\"}}");
    assert_eq!((sidecar.value(&dispatches("only")), sidecar.value(&dispatches("queued"))), (3.0, 2.0));
}
