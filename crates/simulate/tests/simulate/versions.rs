//! The differences between the versions of Ollama.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate::{Config, OllamaVersion};

use super::harness::{Running, events, lines, quick, run};

fn of(version: OllamaVersion) -> Running {
    run(Config { version, ..quick() })
}

async fn post(sim: &Running, path: &str, body: Value) -> Value {
    serde_json::from_str(&sim.text(path, &body).await).unwrap()
}

#[tokio::test]
async fn version_is_reported_by_api_version() {
    for version in OllamaVersion::ALL {
        let reported = format!("{}+simulated", version.release());
        assert_eq!(of(version).get("/api/version").await["version"], reported.as_str());
    }
}

#[tokio::test]
async fn cached_tokens_are_reported_only_by_0_34_even_if_zero() {
    for version in OllamaVersion::ALL {
        let sim = of(version);
        let ask = json!({"model": "sim", "prompt": "one two three", "stream": false});
        let told = [
            post(&sim, "/api/generate", ask.clone()).await["prompt_eval_cached_count"].clone(),
            post(&sim, "/api/generate", ask.clone()).await["prompt_eval_cached_count"].clone(),
            post(&sim, "/v1/completions", ask).await["usage"]["prompt_tokens_details"]["cached_tokens"]
                .clone(),
        ];
        let expected = if version == OllamaVersion::V0_34 {
            [json!(0), json!(3), json!(3)]
        } else {
            [(); 3].map(|()| Value::Null)
        };
        assert_eq!(told, expected, "{version}");
    }
}

#[tokio::test]
async fn input_tokens_of_messages_exclude_cached_ones_in_0_34() {
    let ask = json!({"model": "sim", "max_tokens": 9, "messages": [{"role": "user", "content": "one two three four five"}]});
    for (version, first, again) in [
        (
            OllamaVersion::V0_33,
            json!({"input_tokens": 8, "output_tokens": 8}),
            json!({"input_tokens": 8, "output_tokens": 8}),
        ),
        (
            OllamaVersion::V0_34,
            json!({"input_tokens": 8, "cache_read_input_tokens": 0, "output_tokens": 8}),
            json!({"input_tokens": 1, "cache_read_input_tokens": 7, "output_tokens": 8}),
        ),
    ] {
        let sim = of(version);
        assert_eq!(post(&sim, "/v1/messages", ask.clone()).await["usage"], first, "{version}");
        assert_eq!(post(&sim, "/v1/messages", ask.clone()).await["usage"], again, "{version}");
        let mut streamed = ask.clone();
        streamed["stream"] = true.into();
        let events = events(&sim.text("/v1/messages", &streamed).await);
        let start = &events[0].1["message"]["usage"];
        assert_eq!(start, &json!({"input_tokens": 6, "output_tokens": 0}), "{version}: an estimate");
        assert_eq!(events[events.len() - 2].1["usage"], again, "{version}");
    }
}

#[tokio::test]
async fn cached_tokens_of_responses_are_zero_before_0_34() {
    for (version, cached) in [(OllamaVersion::V0_33, 0), (OllamaVersion::V0_34, 1)] {
        let sim = of(version);
        let ask = json!({"model": "sim", "input": "x"});
        post(&sim, "/v1/responses", ask.clone()).await;
        let usage = &post(&sim, "/v1/responses", ask).await["usage"];
        assert_eq!(usage["input_tokens_details"]["cached_tokens"], cached, "{version}");
    }
}

#[tokio::test]
async fn responses_and_messages_routes_are_absent_in_0_12() {
    for (version, status) in
        [(OllamaVersion::V0_12, 404), (OllamaVersion::V0_33, 200), (OllamaVersion::V0_34, 200)]
    {
        let sim = of(version);
        let ask = json!({"model": "sim", "input": "x", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9});
        for path in ["/v1/responses", "/v1/messages"] {
            assert_eq!(sim.post(path, &ask).send().await.unwrap().status(), status, "{version} {path}");
        }
    }
}

#[tokio::test]
async fn role_is_in_every_delta_of_0_12_and_only_the_first_since() {
    let ask = json!({"model": "sim", "messages": [{"role": "user", "content": "x"}], "stream": true});
    for version in OllamaVersion::ALL {
        let sim = of(version);
        let events = events(&sim.text("/v1/chat/completions", &ask).await);
        assert_eq!(events.len(), 8 + 2);
        let deltas: Vec<_> = events[..9].iter().map(|(_, data)| &data["choices"][0]["delta"]).collect();
        let roles = deltas.iter().filter(|delta| delta["role"] == "assistant").count();
        if version == OllamaVersion::V0_12 {
            assert_eq!((roles, deltas[8]), (9, &json!({"role": "assistant", "content": ""})));
        } else {
            assert_eq!((roles, deltas[8]), (1, &json!({})), "{version}");
            assert_eq!(deltas[0]["role"], "assistant", "{version}");
        }
    }
}

#[tokio::test]
async fn single_token_takes_a_microsecond_and_in_0_12_the_least_duration() {
    for (version, duration) in
        [(OllamaVersion::V0_12, i64::MIN), (OllamaVersion::V0_33, 1000), (OllamaVersion::V0_34, 1000)]
    {
        let sim = run(Config { version, rate: 50.0, ..quick() });
        let ask = json!({"model": "sim", "prompt": "x", "stream": false, "options": {"num_predict": 1}});
        let answer = post(&sim, "/api/generate", ask).await;
        assert_eq!(
            (&answer["eval_count"], &answer["eval_duration"]),
            (&json!(1), &json!(duration)),
            "{version}"
        );
    }
}

#[tokio::test]
async fn eval_duration_is_the_sum_of_gaps_and_in_0_12_without_sampling() {
    for version in OllamaVersion::ALL {
        let sim = run(Config { version, rate: 100.0, jitter: 0.0, tokens: 21, ..quick() });
        let last =
            lines(&sim.text("/api/generate", &json!({"model": "sim", "prompt": "x"})).await).pop().unwrap();
        let field = |name: &str| Duration::from_nanos(last[name].as_u64().unwrap_or(0));
        let eval = field("eval_duration");
        let beside = field("total_duration") - field("load_duration") - field("prompt_eval_duration") - eval;
        if version == OllamaVersion::V0_12 {
            assert_eq!(eval, Duration::from_micros(197_400), "21 tokens of 9.4 ms");
            assert!(beside >= Duration::from_millis(12), "{last}");
        } else {
            assert!(eval >= Duration::from_millis(199), "20 gaps of 10 ms: {last}");
        }
    }
}

#[tokio::test]
async fn failed_openai_stream_ends_with_a_chunk_without_model() {
    for version in OllamaVersion::ALL {
        let sim = of(version);
        let ask = json!({"model": "sim", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "stream": true});
        for path in ["/v1/chat/completions", "/v1/completions"] {
            let response = sim.post(path, &ask).header("x-simulate-fault", "error").send().await.unwrap();
            let last = events(&response.text().await.unwrap()).pop().unwrap().1;
            assert_eq!(
                (&last["model"], &last["choices"][0]["finish_reason"]),
                (&json!(""), &Value::Null),
                "{version} {path}"
            );
        }
    }
}
