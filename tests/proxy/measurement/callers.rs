//! What the metrics say of a caller: the time to its first tokens, clients that left before them, and slow clients.

use streamgauge::admission::Limits;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::{admission::key, harness::*};

const CALLERS: [&str; 2] = ["alice", "bob"];

/// A sidecar whose callers show their name as their key.
async fn for_callers(upstream: &Upstream) -> Sidecar {
    let mut config = config(upstream.addr);
    config.admission.keys = CALLERS.map(|name| key(name, name, Limits::default())).to_vec();
    // The response of a slow client stays in the buffers of the system, so that its time is seen.
    config.proxy.read_ahead = 0;
    sidecar(config).await
}

fn generate_by(caller: &str) -> String {
    generate().replacen("\r\n", &format!("\r\nAuthorization: Bearer {caller}\r\n"), 1)
}

fn of(name: &str, caller: &str) -> String {
    format!("caller_{name}_total{{caller=\"{caller}\"}}")
}

#[tokio::test]
async fn first_tokens_count_for_their_caller_and_client_that_leaves_before_them_counts_for_its_upstream() {
    let mut upstream = upstream().await;
    let sidecar = for_callers(&upstream).await;
    let left = |upstream: &str| {
        format!("left_before_first_token_total{{upstream=\"{upstream}\",model=\"m:latest\"}}")
    };
    let began = Instant::now();
    let mut client = sidecar.send(&generate_by("alice")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    let waited = began.elapsed();
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    let seen = began.elapsed();
    // A client that leaves after its first token had one.
    drop(client);
    sidecar.until(&of("first_tokens", "alice"), 1.0).await;
    let seconds = sidecar.value(&of("first_token_seconds", "alice"));
    assert!((0.0..=seen.as_secs_f64()).contains(&seconds), "{seconds} of {waited:?} to {seen:?}");
    assert!(seconds > 0.0 && sidecar.value(&left("gpu0")) == 0.0);

    let client = sidecar.send(&generate_by("bob")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    drop(client);
    sidecar.until(&left("gpu0"), 1.0).await;
    sidecar.until("caller_requests_total{caller=\"bob\",outcome=\"client_abort\"}", 1.0).await;
    assert_eq!((sidecar.value(&of("first_tokens", "bob")), sidecar.value(&left("none"))), (0.0, 0.0));
}

#[tokio::test]
async fn time_of_a_slow_client_counts_for_its_caller_while_it_holds_the_stream() {
    let mut upstream = upstream().await;
    let sidecar = for_callers(&upstream).await;
    let mut slow = TcpStream::connect(sidecar.proxy).await.unwrap();
    slow.write_all(generate_by("bob").as_bytes()).await.unwrap();
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    let writing = tokio::spawn(async move {
        asked.write(STREAM).await;
        let record = chunk(&RECORD.repeat(1_000));
        // More than all buffers between both ends, so that it never gets to an end.
        for _ in 0..10_000 {
            if asked.stream.write_all(record.as_bytes()).await.is_err() {
                break;
            }
        }
        asked
    });
    sidecar.until_some(&of("backpressure_seconds", "bob")).await;
    assert_eq!(
        sidecar.value("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}"),
        1.0,
        "it has not ended"
    );
    assert_eq!(sidecar.value(&of("backpressure_seconds", "alice")), 0.0);
    drop(slow);
    writing.await.unwrap();
    sidecar.until("caller_requests_total{caller=\"bob\",outcome=\"client_abort\"}", 1.0).await;
    let (whole, his) = (
        sidecar.value("client_backpressure_seconds_total{model=\"m:latest\"}"),
        sidecar.value(&of("backpressure_seconds", "bob")),
    );
    assert!((whole - his).abs() < 1e-6 && his > 0.0, "{whole} by model, {his} by caller");
}
