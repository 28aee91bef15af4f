//! The simulated Ollama compared with the real one of each version: both respond to the same request with the same
//! status, headers, framing and fields. The text of errors, ids and figures are not compared.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    ollama::{EMBEDDER, MODEL, Ollama},
    process::{Process, scratch},
    tool::{self, CALLER, ChatPath},
    version::{Version, on_every_ollama},
    wire::{Request, Response},
};

/// A simulated Ollama of a version, with the models of the real one.
fn simulated(version: Version, more: &[&str]) -> (TempDir, Process, String) {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args([
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--ollama-version",
        version.name(),
        "--load-time",
        "0s",
    ]);
    simulate.args(["--cloud", "disabled", "--prefill-rate", "0", "--jitter", "0", "--parallel", "1"]);
    for name in [MODEL, EMBEDDER, CALLER, "gemma3:270m", "all-minilm:latest"] {
        simulate.args(["--model", name]);
    }
    let process = Process::start(simulate.args(more), scratch.path().join("simulate.log"));
    let url = format!("http://{}", process.address("ollama="));
    (scratch, process, url)
}

/// The largest body for which Go sends its length.
const BUFFER: usize = 2048;

fn messages() -> Value {
    json!([{"role": "user", "content": "Name three colours."}])
}

fn merged(body: &Value, more: Value) -> Value {
    let mut body = body.clone();
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// Requests that generate: every dialect, as a stream and in one piece.
fn generations(version: Version) -> Vec<Request> {
    let options = json!({"num_predict": 5, "temperature": 0, "seed": 1});
    let generate = json!({"model": MODEL, "prompt": "Why is the sky blue?", "options": options});
    let chat = json!({"model": MODEL, "messages": messages(), "options": options});
    let openai = json!({"model": MODEL, "messages": messages(), "prompt": "The sky is", "max_tokens": 5, "temperature": 0});
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let one = json!({"options": {"num_predict": 1}});
    let mut requests = vec![
        Request::post("/api/generate", &generate),
        Request::post("/api/generate", &merged(&generate, json!({"stream": false}))),
        Request::post("/api/generate", &merged(&generate, json!({"raw": true}))),
        Request::post("/api/chat", &chat),
        Request::post("/api/chat", &merged(&chat, json!({"stream": false}))),
        Request::post("/v1/chat/completions", &openai),
        Request::post("/v1/chat/completions", &merged(&openai, json!({"stream": true}))),
        Request::post("/v1/chat/completions", &merged(&openai, usage.clone())),
        Request::post("/v1/completions", &openai),
        Request::post("/v1/completions", &merged(&openai, json!({"stream": true}))),
        Request::post("/v1/completions", &merged(&openai, usage)),
    ];
    if version.runs_llama_server() {
        // 0.12.11 reports durations for these that differ from run to run, including negative ones.
        requests.push(Request::post("/api/generate", &merged(&generate, json!({"format": "json"}))));
        requests.push(Request::post("/api/generate", &merged(&generate, one.clone())));
        requests.push(Request::post("/api/chat", &merged(&chat, merged(&one, json!({"stream": false})))));
        // It is case-sensitive if the file system is.
        let upper = format!("{}:latest", MODEL.to_uppercase());
        requests.push(Request::post("/api/chat", &merged(&chat, json!({"model": upper}))));
        let response =
            json!({"model": MODEL, "input": "Name three colours.", "max_output_tokens": 5, "temperature": 0});
        let message = json!({"model": MODEL, "messages": messages(), "max_tokens": 5, "temperature": 0});
        for (path, body) in [("/v1/responses", response), ("/v1/messages", message)] {
            requests.push(Request::post(path, &body));
            requests.push(Request::post(path, &merged(&body, json!({"stream": true}))));
        }
        requests.push(Request::post("/api/chat", &merged(&chat, json!({"model": format!("{MODEL}:local")}))));
    }
    requests
}

/// Requests that embed, including those that a generating model refuses.
fn embeddings() -> Vec<Request> {
    let embed =
        json!({"model": EMBEDDER, "input": ["one sentence", "and another"], "prompt": "one sentence"});
    ["/api/embed", "/api/embeddings", "/v1/embeddings"].map(|path| Request::post(path, &embed)).into()
}

/// Requests that load and unload a model, list, show and manage.
fn management() -> Vec<Request> {
    let named = json!({"model": MODEL});
    let copy = json!({"source": MODEL, "destination": "copied"});
    let create = json!({"model": "made", "from": MODEL, "system": "Be brief."});
    vec![
        Request::post("/api/generate", &named),
        Request::post("/api/chat", &merged(&named, json!({"messages": []}))),
        Request::new("GET", "/api/ps"),
        Request::post("/api/generate", &merged(&named, json!({"keep_alive": 0}))),
        Request::new("GET", "/api/tags"),
        Request::new("GET", "/api/version"),
        Request::new("HEAD", "/api/version"),
        Request::new("HEAD", "/api/tags"),
        Request::new("GET", "/"),
        Request::new("HEAD", "/"),
        Request::new("GET", "/v1/models"),
        Request::new("GET", &format!("/v1/models/{MODEL}")),
        Request::post("/api/show", &named),
        Request::post("/api/copy", &copy),
        Request::post("/api/create", &create),
        Request::new("DELETE", "/api/delete").of(json!({"model": "copied"}).to_string()),
        Request::new("DELETE", "/api/delete").of(json!({"model": "made"}).to_string()),
        Request::new("HEAD", &format!("/api/blobs/sha256:{}", "0".repeat(64))),
    ]
}

/// Requests that are refused.
fn refusals(version: Version) -> Vec<Request> {
    let missing = json!({
        "model": "missing", "prompt": "x", "input": "x", "max_tokens": 5, "messages": messages(), "source": "missing",
        "destination": "x",
    });
    let openai = json!({"model": MODEL, "messages": messages()});
    let mut paths = vec![
        "/api/generate",
        "/api/chat",
        "/api/embed",
        "/api/embeddings",
        "/api/show",
        "/api/copy",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
    ];
    if version.runs_llama_server() {
        paths.extend(["/v1/responses", "/v1/messages"]);
    }
    let mut requests = Vec::new();
    for path in paths {
        requests.push(Request::post(path, &missing));
        requests.push(Request::new("POST", path).of("{"));
        requests.push(Request::new("POST", path));
        requests.push(Request::new("POST", path).of("[]"));
        requests.push(Request::new("POST", path).of("{}"));
        requests.push(Request::new("PUT", path));
    }
    requests.extend([
        Request::new("GET", "/v1/models/missing"),
        Request::new("DELETE", "/api/delete").of(r#"{"model":"missing"}"#),
        Request::new("GET", "/api/generate"),
        Request::new("POST", "/api/tags"),
        Request::new("GET", "/api/nothing"),
        Request::new("GET", "/metrics"),
        Request::new("GET", "//api/tags"),
        Request::new("GET", "/api/./tags"),
        Request::new("POST", "/api//chat").of("{}"),
        Request::new("GET", "/api/tags/"),
        Request::new("GET", "/api/tags").with("Host", "example.com"),
        Request::new("POST", "/v1/chat/completions").with("Content-Encoding", "gzip").of("x"),
        Request::new("POST", "/api/chat").with("Content-Encoding", "zstd").of("x"),
    ]);
    if version.runs_llama_server() {
        let cloud = merged(&openai, json!({"model": "gpt-oss:20b-cloud", "prompt": "x"}));
        requests.extend(
            ["/api/generate", "/api/chat", "/v1/chat/completions"].map(|path| Request::post(path, &cloud)),
        );
        requests.push(Request::new("GET", "/api/status"));
        requests.push(Request::new("POST", "/v1/chat/completions").with("Content-Encoding", "zstd").of("x"));
    }
    requests
}

/// A prompt that is longer than the context.
fn long_prompts(version: Version) -> Vec<Request> {
    let prompt = "sky ".repeat(600);
    let options = json!({"num_ctx": 256, "num_predict": 3, "temperature": 0});
    let generate = json!({"model": MODEL, "prompt": prompt, "options": options, "stream": false});
    let mut requests = vec![Request::post("/api/generate", &generate)];
    requests.push(Request::post("/api/generate", &merged(&generate, json!({"truncate": false}))));
    if version.runs_llama_server() {
        requests.push(Request::post("/api/generate", &merged(&generate, json!({"shift": false}))));
    }
    requests
}

/// One call, however the model's chats are rendered.
fn tool_calls() -> Vec<Request> {
    let chat = json!({"model": CALLER, "messages": tool::question(), "tools": tool::tools(), "max_tokens": 100, "temperature": 0});
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut requests = Vec::new();
    for more in [json!({"stream": false}), usage] {
        requests.push(Request::post("/api/chat", &merged(&chat, more.clone())));
        requests.push(Request::post("/v1/chat/completions", &merged(&chat, more)));
    }
    requests
}

fn compare(version: Version, requests: &[Request], real: &Ollama, simulated: &str) {
    let mut differing = Vec::new();
    for request in requests {
        let (real, simulated) = (request.ask(&real.url), request.ask(simulated));
        let differences = differences(&real, &simulated);
        if !differences.is_empty() {
            let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
            differing.push(format!(
                "{} {} {:?} {:.300}\n{}\n  real: {:.600}\n  simulated: {:.600}\n",
                request.method,
                request.path,
                request.headers,
                body,
                differences.concat(),
                real.text(),
                simulated.text(),
            ));
        }
    }
    assert!(
        differing.is_empty(),
        "{version}: {} of {} differ:\n{}",
        differing.len(),
        requests.len(),
        differing.concat()
    );
}

/// The properties by which a client could distinguish the two.
fn differences(real: &Response, simulated: &Response) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, real: String, simulated: String| {
        if real != simulated {
            differences.push(format!("  {what}:\n    real      {real}\n    simulated {simulated}\n"));
        }
    };
    differ("status", real.status.to_string(), simulated.status.to_string());
    let names: BTreeSet<_> = real.headers.keys().chain(simulated.headers.keys()).collect();
    for name in names {
        let of = |response: &Response| match (name.as_str(), response.headers.get(name)) {
            (_, None) => "none".to_owned(),
            ("Date" | "Content-Length", Some(_)) => "there".to_owned(),
            (_, Some(value)) => value.clone(),
        };
        // Go sends longer bodies in chunks, and the model decides which body is longer.
        let is_long = |response: &Response| response.chunks.concat().len() > BUFFER;
        let is_length = ["Content-Length", "Transfer-Encoding"].contains(&name.as_str());
        if is_length && is_long(real) != is_long(simulated) {
            continue;
        }
        differ(name, of(real), of(simulated));
    }
    let framing = |response: &Response| {
        let chunks: Vec<_> = response
            .framing()
            .iter()
            .map(|records| records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n        "))
            .collect();
        chunks.join("\n      | ")
    };
    // A page of text and the text of an error are not JSON.
    if real
        .headers
        .get("Content-Type")
        .is_some_and(|kind| kind.contains("json") || kind.contains("event-stream"))
    {
        differ("body", framing(real), framing(simulated));
    } else {
        differ("body", (!real.text().is_empty()).to_string(), (!simulated.text().is_empty()).to_string());
    }
    differences
}

fn simulator_generates_in_the_shapes_of_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &generations(version), &real, &url);
}

fn simulator_embeds_and_refuses_to_in_the_shapes_of_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &embeddings(), &real, &url);
    let (_scratch, _process, url) = simulated(version, &["--no-embeddings"]);
    let refused: Vec<_> = embeddings()
        .into_iter()
        .map(|request| {
            let body = String::from_utf8(request.body.clone().unwrap()).unwrap();
            request.of(body.replace(EMBEDDER, MODEL))
        })
        .collect();
    compare(version, &refused, &real, &url);
}

fn simulator_lists_and_manages_in_the_shapes_of_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &management(), &real, &url);
}

fn simulator_refuses_in_the_shapes_of_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &refusals(version), &real, &url);
}

fn simulator_treats_long_prompt_as_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &long_prompts(version), &real, &url);
}

fn simulator_calls_tools_in_the_shapes_of_real_ollama(version: Version) {
    let real = Ollama::start(version, 1);
    tool::create(&real, ChatPath::GoTemplate);
    let (_scratch, _process, url) = simulated(version, &[]);
    compare(version, &tool_calls(), &real, &url);
    if version.runs_llama_server() {
        tool::create(&real, ChatPath::Native);
        let (_scratch, _process, url) = simulated(version, &["--chat", "native"]);
        compare(version, &tool_calls(), &real, &url);
    }
}

on_every_ollama! {
    simulator_generates_in_the_shapes_of_real_ollama,
    simulator_embeds_and_refuses_to_in_the_shapes_of_real_ollama,
    simulator_lists_and_manages_in_the_shapes_of_real_ollama,
    simulator_refuses_in_the_shapes_of_real_ollama,
    simulator_treats_long_prompt_as_real_ollama,
    simulator_calls_tools_in_the_shapes_of_real_ollama,
}
