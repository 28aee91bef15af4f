//! Slots, the hidden queue, loading, and clients that leave.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use streamgauge_simulate::Config;
use tokio::time::Instant;

use super::harness::{lines, quick, run, slow};

#[tokio::test]
async fn slots_full_makes_requests_queue_and_queue_full_refuses_them() {
    let sim = run(Config { parallel: 2, max_queue: 1, ..slow() });
    let ask = json!({"model": "sim", "prompt": "x"});
    let first = sim.post("/api/generate", &ask).send().await.unwrap();
    let second = sim.post("/api/generate", &ask).send().await.unwrap();
    let mut third = std::pin::pin!(sim.post("/api/generate", &ask).send());
    tokio::select! {
        _ = &mut third => panic!("the third has no slot"),
        () = sim.truth.until(|truth| truth.waiting() == 1) => {}
    }
    let fourth = sim.post("/api/generate", &ask).send().await.unwrap();
    assert_eq!(fourth.status(), 503);
    let error: Value = fourth.json().await.unwrap();
    assert_eq!(error["error"], "server busy, please try again.  maximum pending requests exceeded");
    assert_eq!(sim.truth.max_decoding(), 2);

    drop(first);
    assert_eq!(third.await.unwrap().status(), 200, "the slot of the one who left");
    assert_eq!((sim.truth.waiting(), sim.truth.max_decoding(), sim.truth.cancelled()), (0, 2, 1));
    drop(second);
}

#[tokio::test]
async fn client_that_leaves_is_noticed_at_once() {
    let sim = run(slow());
    let response = sim.post("/api/generate", &json!({"model": "sim", "prompt": "x"})).send().await.unwrap();
    assert_eq!((sim.truth.started(), sim.truth.decoding()), (1, 1));
    let left = Instant::now();
    drop(response);
    sim.truth.until(|truth| truth.cancelled() == 1).await;
    let seen = sim.truth.last_cancel().unwrap().duration_since(left);
    assert!(seen < Duration::from_millis(50), "{seen:?}");
    sim.truth.until(|truth| truth.decoding() == 0).await;
    assert_eq!(sim.truth.ended(), 0);
}

#[tokio::test]
async fn client_that_leaves_before_response_head_is_noticed() {
    let sim = run(Config { load_time: Duration::from_secs(3600), ..quick() });
    let request =
        tokio::spawn(sim.post("/api/chat", &json!({"model": "sim", "messages": [{"content": "x"}]})).send());
    sim.truth.until(|truth| truth.requests("/api/chat") == 1).await;
    request.abort();
    sim.truth.until(|truth| truth.cancelled() == 1).await;
    assert_eq!(sim.truth.started(), 0);
}

#[tokio::test]
async fn first_request_loads_model_and_ps_lists_it_until_unloaded() {
    let sim = run(Config { load_time: Duration::from_millis(80), ..quick() });
    assert_eq!(sim.get("/api/ps").await["models"], json!([]));
    let body = sim.text("/api/generate", &json!({"model": "sim", "prompt": "x"})).await;
    let last = lines(&body).pop().unwrap();
    assert!(last["load_duration"].as_u64().unwrap() >= 79_000_000, "{last}");
    assert!(last["total_duration"].as_u64() >= last["load_duration"].as_u64());
    let again =
        lines(&sim.text("/api/generate", &json!({"model": "sim", "prompt": "y"})).await).pop().unwrap();
    assert!((1..40_000_000).contains(&again["load_duration"].as_u64().unwrap()), "{again}");
    let ps = sim.get("/api/ps").await;
    assert_eq!(ps["models"][0]["name"], "sim:latest");
    assert!(ps["models"][0]["size_vram"].as_u64().unwrap() > 0);

    let unload = json!({"model": "sim", "keep_alive": 0});
    let response = sim.post("/api/generate", &unload).send().await.unwrap();
    assert!(response.headers().contains_key("content-length"));
    assert_eq!(response.json::<Value>().await.unwrap()["done_reason"], "unload");
    assert_eq!(sim.get("/api/ps").await["models"], json!([]));
}

#[tokio::test]
async fn empty_prompt_loads_model_and_short_keep_alive_expires() {
    let sim = run(quick());
    let response = sim
        .post("/api/chat", &json!({"model": "sim", "messages": [], "keep_alive": "1h"}))
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("content-length"));
    assert_eq!(response.json::<Value>().await.unwrap()["done_reason"], "load");
    assert_eq!(sim.get("/api/ps").await["models"].as_array().unwrap().len(), 1);
    sim.text("/api/chat", &json!({"model": "sim", "messages": [{"content": "x"}], "keep_alive": 0})).await;
    assert_eq!(sim.get("/api/ps").await["models"], json!([]));
}

#[tokio::test]
async fn last_record_has_the_true_durations() {
    let sim = run(Config { rate: 200.0, jitter: 0.0, prefill_rate: 100.0, ..quick() });
    let asked = Instant::now();
    let prompt = "a b c d e f";
    let body = sim.text("/api/generate", &json!({"model": "sim", "prompt": prompt})).await;
    let took = asked.elapsed();
    let last = lines(&body).pop().unwrap();
    let duration = |name: &str| Duration::from_nanos(last[name].as_u64().unwrap());
    assert!(duration("prompt_eval_duration") >= Duration::from_millis(80), "{last}");
    assert!(duration("eval_duration") >= Duration::from_millis(35), "seven gaps: {last}");
    assert!(duration("total_duration") <= took, "{last}");
    assert!(
        duration("total_duration") >= duration("prompt_eval_duration") + duration("eval_duration"),
        "{last}"
    );
}

#[tokio::test]
async fn contention_slows_every_stream() {
    let config = Config { rate: 400.0, jitter: 0.0, tokens: 20, parallel: 4, contention: 1.0, ..quick() };
    let sim = run(config);
    let eval = async |prompt: String| {
        let body = sim.text("/api/generate", &json!({"model": "sim", "prompt": prompt})).await;
        lines(&body).pop().unwrap()["eval_duration"].as_u64().unwrap()
    };
    let alone = eval("alone".into()).await;
    let together = join_all((0..4).map(|n| eval(format!("together {n}")))).await;
    assert!(together.iter().all(|one| *one > alone * 2), "{alone} {together:?}");
}

#[tokio::test]
async fn congestion_slows_streams_by_their_pairs() {
    let config = Config {
        rate: 400.0,
        jitter: 0.0,
        tokens: 20,
        parallel: 4,
        contention: 0.0,
        congestion: 0.25,
        ..quick()
    };
    let sim = run(config);
    let eval = async |prompt: String| {
        let body = sim.text("/api/generate", &json!({"model": "sim", "prompt": prompt})).await;
        lines(&body).pop().unwrap()["eval_duration"].as_u64().unwrap()
    };
    let alone = eval("alone".into()).await;
    // Twelve pairs cost three times the time alone in addition.
    let together = join_all((0..4).map(|n| eval(format!("together {n}")))).await;
    assert!(together.iter().all(|one| *one > alone * 3), "{alone} {together:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_concurrent_streams_lose_no_token() {
    let sim = run(Config { rate: 20.0, tokens: 16, parallel: 4000, contention: 0.0, ..quick() });
    let bodies = join_all((0..2000).map(|n| {
        let ask = json!({"model": "sim", "prompt": format!("stream {n}")});
        async { sim.text("/api/generate", &{ ask }).await }
    }))
    .await;
    let tokens: u64 =
        bodies.iter().map(|body| lines(body).pop().unwrap()["eval_count"].as_u64().unwrap()).sum();
    let records: usize = bodies.iter().map(|body| body.lines().count() - 1).sum();
    assert_eq!((tokens, records, sim.truth.output_tokens()), (32_000, 32_000, 32_000));
    sim.truth.until(|truth| truth.ended() == 2000).await;
    assert_eq!((sim.truth.cancelled(), sim.truth.decoding()), (0, 0));
}
