//! Each dialect's stream, record by record.

use serde_json::{Value, json};
use streamgauge_simulate::Config;

use super::harness::{events, lines, quick, run, tools};

fn joined(records: &[Value], pointer: &str) -> String {
    records.iter().filter_map(|record| record.pointer(pointer).and_then(Value::as_str)).collect()
}

#[tokio::test]
async fn generate_streams_lines_with_true_counts() {
    let sim = run(quick());
    let response =
        sim.post("/api/generate", &json!({"model": "sim", "prompt": "one two three"})).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    assert!(response.headers().contains_key("date"));
    let records = lines(&response.text().await.unwrap());
    assert_eq!(records.len(), 9);
    assert!(records[..8].iter().all(|record| record["done"] == false && record["response"] != ""));
    let last = &records[8];
    assert_eq!((last["done"].clone(), last["done_reason"].clone()), (json!(true), json!("stop")));
    assert_eq!((last["prompt_eval_count"].clone(), last["eval_count"].clone()), (json!(4), json!(8)));
    assert!(last["total_duration"].as_u64().unwrap() > last["load_duration"].as_u64().unwrap());
    assert_eq!((sim.truth.output_tokens(), sim.truth.prompt_tokens()), (8, 4));

    let ask = json!({"model": "sim", "prompt": "one two three", "stream": false});
    let whole: Value = sim.post("/api/generate", &ask).send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["response"], joined(&records, "/response"));
    assert_eq!(whole["prompt_eval_cached_count"], 3, "the prompt is known by now");
    sim.truth.until(|truth| truth.ended() == 2).await;
    assert_eq!(sim.truth.requests("/api/generate"), 2);
}

#[tokio::test]
async fn openai_chat_has_usage_if_requested() {
    let sim = run(quick());
    let mut ask = json!({
        "model": "sim", "messages": [{"role": "user", "content": "x"}], "stream": true, "max_tokens": 6,
        "reasoning_effort": "low", "stream_options": {"include_usage": true},
    });
    let response = sim.post("/v1/chat/completions", &ask).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = events(&response.text().await.unwrap());
    assert_eq!(events.len(), 6 + 3);
    assert!(events[0].1["choices"][0]["delta"]["reasoning"].is_string());
    assert!(events[..6].iter().all(|(_, data)| data["usage"].is_null()));
    assert_eq!(events[6].1["choices"][0]["finish_reason"], "length");
    let usage = json!({
        "prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens": 6, "total_tokens": 9,
    });
    assert_eq!(events[7].1["usage"], usage);
    assert_eq!(events[8].1, "[DONE]");

    ask["stream"] = false.into();
    let whole: Value = sim.post("/v1/chat/completions", &ask).send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["usage"]["completion_tokens"], 6);
    assert!(whole["choices"][0]["message"]["reasoning"].is_string());
}

#[tokio::test]
async fn openai_completions_have_zero_counts_until_the_last() {
    let sim = run(quick());
    let ask =
        json!({"model": "sim", "prompt": "x", "stream": true, "stream_options": {"include_usage": true}});
    let events = events(&sim.text("/v1/completions", &ask).await);
    assert_eq!(events.len(), 8 + 3);
    assert!(events[..9].iter().all(|(_, data)| data["usage"]["total_tokens"] == 0));
    assert_eq!(
        (&events[9].1["usage"]["completion_tokens"], &events[9].1["choices"]),
        (&json!(8), &json!([]))
    );
    let whole = sim.text("/v1/completions", &json!({"model": "sim", "prompt": "x"})).await;
    assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()["usage"]["total_tokens"], 10);
}

#[tokio::test]
async fn openai_responses_are_numbered_events_with_completed_last() {
    let sim = run(quick());
    let ask = json!({"model": "sim", "input": "x", "stream": true, "reasoning": {"effort": "low"}});
    let response = sim.post("/v1/responses", &ask).send().await.unwrap();
    assert_eq!(response.headers()["connection"], "keep-alive");
    let events = events(&response.text().await.unwrap());
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(
            (data["sequence_number"].as_u64(), data["type"].as_str()),
            (Some(number as u64), Some(name.as_str()))
        );
    }
    assert_eq!(events[0].0, "response.created");
    let text: String = events
        .iter()
        .filter(|(name, _)| name == "response.output_text.delta")
        .map(|(_, data)| data["delta"].as_str().unwrap())
        .collect();
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "response.completed");
    assert_eq!(last["response"]["usage"]["output_tokens"], 8);
    assert_eq!(last["response"]["output"][1]["content"][0]["text"], text);
    assert_eq!(last["response"]["usage"]["input_tokens_details"]["cached_tokens"], 0);
}

#[tokio::test]
async fn anthropic_messages_come_in_blocks() {
    let sim = run(Config { tool_text: 3, ..quick() });
    let mut ask = json!({
        "model": "sim", "messages": [{"role": "user", "content": "x"}], "stream": true, "max_tokens": 100,
        "thinking": {"type": "enabled"}, "tools": tools(),
    });
    let response = sim.post("/v1/messages", &ask).send().await.unwrap();
    assert_eq!(response.headers()["connection"], "keep-alive");
    let events = events(&response.text().await.unwrap());
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names[0], names[1], *names.last().unwrap()),
        ("message_start", "content_block_start", "message_stop")
    );
    let starts: Vec<_> = events.iter().filter(|(name, _)| name == "content_block_start").collect();
    let kinds: Vec<_> =
        starts.iter().map(|(_, data)| (&data["index"], &data["content_block"]["type"])).collect();
    assert_eq!(
        kinds,
        [(&json!(0), &json!("thinking")), (&json!(1), &json!("text")), (&json!(2), &json!("tool_use"))]
    );
    let delta = &events[events.len() - 2].1;
    assert_eq!(
        (&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(8))
    );

    ask["stream"] = false.into();
    let whole: Value = sim.post("/v1/messages", &ask).send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["content"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn embeddings_have_their_three_shapes() {
    let sim = run(quick());
    let post = async |path: &str, body: Value| -> Value {
        serde_json::from_str(&sim.text(path, &body).await).unwrap()
    };
    let embed = post("/api/embed", json!({"model": "sim", "input": ["a", "b"]})).await;
    assert_eq!((embed["embeddings"].as_array().unwrap().len(), &embed["prompt_eval_count"]), (2, &json!(3)));
    let old = post("/api/embeddings", json!({"model": "sim", "prompt": "a"})).await;
    assert_eq!(old["embedding"], embed["embeddings"][0]);
    let openai = post("/v1/embeddings", json!({"model": "sim", "input": "a"})).await;
    assert_eq!(openai["data"][0]["embedding"], old["embedding"]);
}

#[tokio::test]
async fn same_seed_gives_the_same_responses() {
    let ask = json!({"model": "sim", "prompt": "x", "stream": false});
    let mut answers = Vec::new();
    for seed in [1, 1, 2] {
        let sim = run(streamgauge_simulate::Config { seed, ..quick() });
        let answer: Value = serde_json::from_str(&sim.text("/api/generate", &ask).await).unwrap();
        answers.push(answer["response"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}

#[tokio::test]
async fn record_at_unlimited_rate_is_flushed_by_itself() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let simulator = run(Config { tokens: 2000, ..quick() });
    let mut client = tokio::net::TcpStream::connect(simulator.addr).await.unwrap();
    let body = json!({"model": "sim", "prompt": "p"}).to_string();
    let head = format!(
        "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await.unwrap();
    let (mut read, mut most, mut all) = (vec![0; 1 << 20], 0, 0);
    loop {
        let count = client.read(&mut read).await.unwrap();
        if count == 0 {
            break;
        }
        (most, all) = (most.max(count), all + count);
    }
    // On one thread, this code runs when the stream pauses. Written together, the stream would be some 200 KB at
    // once.
    assert!(all > 100_000 && most < 32_000, "{most} bytes at once, of {all}");
}
