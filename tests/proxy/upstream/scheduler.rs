//! One queue for all upstreams: no request waits while an upstream that may have it has a free slot.

use std::{sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use streamgauge::upstream::Policy;
use streamgauge_simulate as simulate;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    super::harness::*,
    several::{Simulated, ask, in_turn, quick, up},
};

/// A stream takes so long, however many run.
fn steady(seconds: f64) -> simulate::Config {
    simulate::Config {
        rate: 40.0 / seconds,
        tokens: 40,
        jitter: 0.0,
        contention: 0.0,
        parallel: 16,
        ..quick()
    }
}

/// So many chats at once, and the statuses of their responses.
async fn chats(sidecar: &Arc<Sidecar>, count: usize) -> Vec<u16> {
    let each = (0..count).map(|_| {
        let sidecar = sidecar.clone();
        tokio::spawn(async move {
            let chat = json!({"model": "sim", "messages": [{"role": "user", "content": "why"}]});
            ask(&sidecar, "/api/chat", &chat).await.0
        })
    });
    let mut statuses = Vec::new();
    for one in each.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses
}

#[tokio::test]
async fn nine_chats_run_at_once_in_the_nine_slots_of_two_upstreams() {
    for policy in [Policy::ModelAware, Policy::LeastBusy, Policy::RoundRobin] {
        let (small, large) = (Simulated::start(steady(600.0)), Simulated::start(steady(600.0)));
        let mut config = in_turn(&[small.addr, large.addr]);
        config.upstream.choose = policy;
        config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
        config.upstream.upstreams[1].max_streams = Some(StreamLimit::Fixed(8));
        let sidecar = Arc::new(up(config).await);
        let running = tokio::spawn({
            let sidecar = sidecar.clone();
            async move { chats(&sidecar, 9).await }
        });
        soon(small.truth.until(|truth| truth.started() == 1)).await;
        soon(large.truth.until(|truth| truth.started() == 8)).await;
        assert_eq!((small.truth.ended(), large.truth.ended()), (0, 0), "{policy:?}: none has ended yet");
        running.abort();
    }
}

#[tokio::test]
async fn upstream_that_hangs_refuses_nobody_while_another_has_slots() {
    let faults = "slow-head=1:1000s".parse().unwrap();
    let wedged = Simulated::start(simulate::Config { faults, ..quick() });
    let works = Simulated::start(steady(0.4));
    let mut config = in_turn(&[wedged.addr, works.addr]);
    config.upstream.choose = Policy::ModelAware;
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.upstream.upstreams[1].max_streams = Some(StreamLimit::Fixed(8));
    config.upstream.response_timeout = Duration::from_secs(5);
    config.queue.timeout = Duration::from_secs(30);
    let sidecar = Arc::new(up(config).await);
    let statuses = chats(&sidecar, 30).await;
    let of = |status| statuses.iter().filter(|one| **one == status).count();
    // One hangs at the wedged upstream. All others run at the one that works.
    assert_eq!((of(503), of(504), of(200)), (0, 1, 29), "{statuses:?}");
}

/// A client that reads nothing of an endless response in the only slot, and a second client that waits for the slot.
async fn with_silent_client(stall: Duration) -> (Sidecar, Upstream, TcpStream, Client) {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.proxy.client_stall_timeout = stall;
    let sidecar = sidecar(config).await;
    let mut silent = TcpStream::connect(sidecar.proxy).await.unwrap();
    silent.write_all(post("/api/generate", "{}").as_bytes()).await.unwrap();
    let mut asked = upstream.asked().await;
    tokio::spawn(async move {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
        let record = format!("{{\"response\":\"{}\"}}\n", "word ".repeat(10_000));
        let chunk = format!("{:x}\r\n{record}\r\n", record.len());
        let mut sent = asked.stream.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = asked.stream.write_all(chunk.as_bytes()).await;
        }
    });
    let waits = sidecar.send(&post_once("/api/generate", "{}")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    (sidecar, upstream, silent, waits)
}

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected_and_its_slot_goes_to_the_next_request() {
    let (sidecar, mut upstream, _silent, _waits) = with_silent_client(Duration::from_millis(500)).await;
    let _second = upstream.asked().await;
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"stalled\"}", 1.0).await;
}

#[tokio::test]
async fn client_that_reads_nothing_keeps_its_slot_without_a_stall_timeout() {
    let (sidecar, mut upstream, silent, _waits) = with_silent_client(Duration::ZERO).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(1), upstream.asked()).await.is_err(),
        "the slot is held"
    );
    drop(silent);
    let _second = upstream.asked().await;
    assert_eq!(sidecar.value("connections_refused_total{listener=\"proxy\",reason=\"stalled\"}"), 0.0);
}

/// A client that has read nothing of a whole response of 32 MiB in the only slot, and a second client that waits for the
/// slot. The system's buffers hold a part of the response only.
async fn with_slow_client(read_ahead: usize, stall: Duration) -> (Sidecar, Upstream, TcpStream, Client) {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.proxy.read_ahead = read_ahead;
    config.proxy.client_stall_timeout = stall;
    let sidecar = sidecar(config).await;
    let mut slow = TcpStream::connect(sidecar.proxy).await.unwrap();
    slow.write_all(post_once("/api/generate", "{}").as_bytes()).await.unwrap();
    let mut asked = upstream.asked().await;
    asked.body(2).await;
    let waits = sidecar.send(&post_once("/api/generate", "{}")).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    tokio::spawn(async move {
        let _ = asked.stream.write_all(&whole_response()).await;
    });
    (sidecar, upstream, slow, waits)
}

fn long_body() -> Vec<u8> {
    let record =
        |number| format!("{{\"response\":\"{number:07} {}\",\"done\":false}}\n", "word ".repeat(200));
    let mut body: Vec<u8> = (0..32_000).flat_map(|number| record(number).into_bytes()).collect();
    body.extend_from_slice(b"{\"done\":true}\n");
    body
}

fn whole_response() -> Vec<u8> {
    let body = long_body();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

const HELD: &str = "response_read_ahead_bytes";

#[tokio::test]
async fn slot_is_free_when_ollama_has_finished_though_its_client_has_read_nothing() {
    let (sidecar, mut upstream, mut slow, _waits) = with_slow_client(64 << 20, Duration::from_secs(60)).await;
    let _second = upstream.asked().await;
    assert!(sidecar.value(HELD) > 1e6, "{}", sidecar.value(HELD));
    let mut read = Vec::new();
    soon(slow.read_to_end(&mut read)).await.unwrap();
    let body = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(read[body..] == long_body(), "another body");
    sidecar.until(HELD, 0.0).await;
}

#[tokio::test]
async fn response_longer_than_the_read_ahead_keeps_its_slot_and_holds_no_more_memory() {
    for read_ahead in [0, 256 << 10] {
        let (sidecar, mut upstream, mut slow, _waits) =
            with_slow_client(read_ahead, Duration::from_secs(60)).await;
        sidecar.until(HELD, read_ahead as f64).await;
        let early = tokio::time::timeout(Duration::from_millis(300), upstream.asked()).await;
        assert!(early.is_err(), "the slot is held");
        assert_eq!(sidecar.value(HELD), read_ahead as f64);
        let mut read = Vec::new();
        soon(slow.read_to_end(&mut read)).await.unwrap();
        assert!(read.ends_with(&long_body()), "another body");
        let _second = upstream.asked().await;
        sidecar.until(HELD, 0.0).await;
    }
}

#[tokio::test]
async fn client_that_reads_nothing_of_a_finished_response_is_disconnected_and_holds_no_memory() {
    let (sidecar, mut upstream, _slow, _waits) = with_slow_client(64 << 20, Duration::from_secs(2)).await;
    let _second = upstream.asked().await;
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"stalled\"}", 1.0).await;
    sidecar.until(HELD, 0.0).await;
}

#[tokio::test]
async fn upstream_that_vanishes_with_a_full_queue_loses_only_the_request_that_it_ran() {
    let (vanishes, stays) = (Simulated::start(steady(600.0)), Simulated::start(steady(1.0)));
    let mut config = in_turn(&[vanishes.addr, stays.addr]);
    for upstream in &mut config.upstream.upstreams {
        upstream.max_streams = Some(StreamLimit::Fixed(1));
    }
    config.queue.size = 4;
    let sidecar = Arc::new(up(config).await);
    let mut clients = JoinSet::new();
    let mut send = || {
        let sidecar = sidecar.clone();
        clients.spawn(async move {
            let chat = json!({"model": "sim", "messages": [{"role": "user", "content": "why"}]});
            let (status, text) = ask(&sidecar, "/api/chat", &chat).await;
            (status, text.is_some_and(|text| text.contains("\"done\":true")))
        });
    };
    send();
    soon(vanishes.truth.until(|truth| truth.started() == 1)).await;
    // One runs at the other upstream, and the queue is full.
    for _ in 0..5 {
        send();
    }
    sidecar.until("queue_depth{priority=\"normal\"}", 4.0).await;
    vanishes.kill().await;
    let mut answers = Vec::new();
    while let Some(answer) = soon(clients.join_next()).await {
        answers.push(answer.unwrap());
    }
    answers.sort_unstable();
    let whole = answers.iter().filter(|answer| **answer == (200, true)).count();
    assert_eq!((whole, answers[0]), (5, (200, false)), "{answers:?}");
    assert_eq!(sidecar.value("queue_depth{priority=\"normal\"}"), 0.0);
}

#[tokio::test]
async fn thousand_clients_that_leave_at_once_leave_nothing_in_the_queue_and_the_next_is_served() {
    // Both ends of each connection are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let ollama = Simulated::start(steady(600.0));
    let mut config = in_turn(&[ollama.addr]);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 1_000;
    let sidecar = up(config).await;
    let chat = json!({"model": "sim", "messages": [{"role": "user", "content": "why"}]}).to_string();
    let running = sidecar.send(&post("/api/chat", &chat)).await;
    soon(ollama.truth.until(|truth| truth.started() == 1)).await;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        clients.push(sidecar.send(&post("/api/chat", &chat)).await);
    }
    sidecar.until("queue_depth{priority=\"normal\"}", 1_000.0).await;
    drop((clients, running));
    sidecar.until("queue_depth{priority=\"normal\"}", 0.0).await;
    sidecar.until("requests_running", 0.0).await;
    sidecar.until(&ended("chat", "sim:latest", "client_abort"), 1_001.0).await;
    let mut next = sidecar.send(&post("/api/chat", &chat)).await;
    assert!(soon(next.until("\r\n\r\n")).await.starts_with("HTTP/1.1 200"));
    soon(ollama.truth.until(|truth| truth.started() == 2)).await;
    assert_eq!(sidecar.value("slots{upstream=\"gpu0\",state=\"busy\"}"), 1.0);
}
