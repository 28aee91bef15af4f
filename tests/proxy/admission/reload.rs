//! Settings that change while a stream runs.

use streamgauge::{
    admin::Token,
    admission::{Access, Digest, Key, Limits},
    sidecar::Sidecar,
};

use crate::harness::*;

fn key(name: &str) -> Key {
    let digest = Digest::of(name.as_bytes());
    Key {
        name: name.to_owned(),
        digest,
        limits: Limits::default(),
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }
}

fn with_key(key: &str) -> String {
    generate().replacen("\r\n", &format!("\r\nX-Api-Key: {key}\r\n"), 1)
}

#[tokio::test]
async fn removed_key_lets_stream_complete_and_leaves_no_series() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.require_key = true;
    config.admission.keys = vec![key("alice"), key("bob")];
    config.shaping.pace = 100;
    let bound = Sidecar::builder().config(config.clone()).bind().await.unwrap();
    let reload = bound.reload();
    let sidecar = run(bound);
    let mut client = sidecar.send(&with_key("alice")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(&chunk(RECORD)).await;
    assert_eq!(sidecar.value("pace_tokens_per_second{caller=\"alice\"}"), 100.0);

    config.admission.keys = vec![key("bob"), key("carol")];
    config.shaping.pace = 0;
    reload.apply(&config);
    let refused = sidecar.send(&with_key("alice")).await.until("}").await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    client.until("0\r\n\r\n").await;
    // The next request comes on a new connection.
    drop(asked);
    sidecar.until("caller_requests_total{caller=\"other\",outcome=\"complete\"}", 1.0).await;
    sidecar.until("caller_tokens_total{caller=\"other\",kind=\"output\"}", 1.0).await;
    let page = sidecar.page("/metrics").await.1;
    assert!(!page.contains("alice") && page.contains("caller=\"carol\""), "{page}");
    assert_eq!(sidecar.value("pace_tokens_per_second{caller=\"anonymous\"}"), 0.0);
    assert_eq!(sidecar.value("config_last_reload_success"), 1.0);

    reload.failed();
    assert_eq!(sidecar.value("config_last_reload_success"), 0.0);
    let client = sidecar.send(&with_key("carol").replacen("\r\n", "\r\nConnection: close\r\n", 1)).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn replaced_admin_token_admits_nobody() {
    let upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admin.token = Some(Token::of(b"old"));
    let bound = Sidecar::builder().config(config.clone()).bind().await.unwrap();
    let reload = bound.reload();
    let sidecar = run(bound);
    let status = async |token: &str| {
        let request = reqwest::Client::new().get(format!("http://{}/metrics", sidecar.admin));
        soon(request.bearer_auth(token).send()).await.unwrap().status().as_u16()
    };
    assert_eq!((status("old").await, status("new").await), (200, 401));
    config.admin.token = Some(Token::of(b"new"));
    reload.apply(&config);
    assert_eq!((status("old").await, status("new").await), (401, 200));
    // A reload cannot remove the token, since that would open a closed address.
    config.admin.token = None;
    reload.apply(&config);
    assert_eq!((status("old").await, status("new").await), (401, 200));
}
