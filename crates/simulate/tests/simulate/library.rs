//! Adding and removing models, and all responses that are not streams of tokens.

use serde_json::{Value, json};
use streamgauge_simulate::Config;

use super::harness::{lines, quick, run};

#[tokio::test]
async fn missing_model_is_reported_in_every_dialect() {
    let sim = run(quick());
    let ask = json!({"model": "nope", "prompt": "x", "input": "x", "messages": [{"content": "x"}], "max_tokens": 9});
    for path in ["/api/generate", "/api/chat", "/api/embed", "/api/embeddings", "/api/show"] {
        let response = sim.post(path, &ask).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.text().await.unwrap(), r#"{"error":"model 'nope' not found"}"#);
    }
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"] {
        let response = sim.post(path, &ask).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(
            (&error["error"]["type"], &error["error"]["code"]),
            (&json!("not_found_error"), &Value::Null)
        );
    }
    let error: Value = sim.post("/v1/messages", &ask).send().await.unwrap().json().await.unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("not_found_error")));
}

#[tokio::test]
async fn model_list_changes_with_pull_copy_and_delete() {
    let sim = run(Config { models: vec!["sim:latest".into(), "other:7b".into()], ..quick() });
    let names = async || -> Vec<String> {
        let tags = sim.get("/api/tags").await;
        tags["models"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names().await, ["sim:latest", "other:7b"]);
    let copy = json!({"source": "sim", "destination": "mine"});
    assert_eq!(sim.post("/api/copy", &copy).send().await.unwrap().status(), 200);
    let delete = sim.client.delete(sim.url("/api/delete")).json(&json!({"model": "other:7b"}));
    assert_eq!(delete.send().await.unwrap().status(), 200);
    assert_eq!(names().await, ["mine:latest", "sim:latest"]);
    let pull = lines(&sim.text("/api/pull", &json!({"model": "other:7b"})).await);
    assert_eq!(pull.last().unwrap(), &json!({"status": "success"}));
    assert!(pull.iter().any(|line| line["completed"] == line["total"] && line["total"].is_u64()));
    let create = lines(&sim.text("/api/create", &json!({"model": "new", "from": "mine"})).await);
    assert_eq!(create.last().unwrap(), &json!({"status": "success"}));
    let push = lines(&sim.text("/api/push", &json!({"model": "new"})).await);
    assert_eq!(push.last().unwrap(), &json!({"status": "success"}));
    assert_eq!(names().await, ["new:latest", "other:7b", "mine:latest", "sim:latest"]);
    assert_eq!(sim.get("/v1/models").await["data"].as_array().unwrap().len(), 4);
    assert_eq!(sim.get("/v1/models/mine").await["id"], "mine");
    let show = sim.text("/api/show", &json!({"model": "mine"})).await;
    assert_eq!(serde_json::from_str::<Value>(&show).unwrap()["details"]["format"], "gguf");
}

#[tokio::test]
async fn pull_that_fails_is_200_and_ends_with_an_error() {
    let sim = run(quick());
    let response = sim.post("/api/pull", &json!({"model": "nope"})).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let records = lines(&response.text().await.unwrap());
    assert_eq!(records.last().unwrap()["error"], "pull model manifest: file does not exist");
}

#[tokio::test]
async fn create_without_source_is_chunked_json() {
    let sim = run(quick());
    let response = sim.post("/api/create", &json!({"model": "x"})).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["transfer-encoding"].to_str().unwrap()),
        (400, &"chunked")
    );
}

#[tokio::test]
async fn blob_uploads_are_counted() {
    let sim = run(quick());
    let url = sim.url(&format!("/api/blobs/sha256:{}", "0a".repeat(32)));
    assert_eq!(sim.client.head(&url).send().await.unwrap().status(), 404);
    assert_eq!(sim.client.post(&url).body(vec![7; 300_000]).send().await.unwrap().status(), 201);
    assert_eq!(sim.client.head(&url).send().await.unwrap().status(), 200);
    assert_eq!(sim.client.post(sim.url("/api/blobs/sha256:zz")).send().await.unwrap().status(), 400);
    assert_eq!((sim.truth.blob_bytes(), sim.truth.requests("/api/blobs/:digest")), (300_000, 4));
}

#[tokio::test]
async fn path_method_and_host_are_checked_as_ollama_does() {
    let sim = run(quick());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(client.get(sim.url("/")).send().await.unwrap().text().await.unwrap(), "Ollama is running");
    assert_eq!(status(client.head(sim.url("/"))).await, 200);
    assert_eq!(status(client.get(sim.url("/api/chat"))).await, 405);
    assert_eq!(status(client.get(sim.url("/nowhere"))).await, 404);
    assert_eq!(status(client.get(sim.url("/%61pi/ps"))).await, 200);
    assert_eq!(status(client.get(sim.url("/api/ps/"))).await, 301);
    assert_eq!(status(client.get(sim.url("/api/ps")).header("host", "ollama.example.com")).await, 403);
    assert_eq!(status(client.get(sim.url("/api/ps")).header("origin", "https://evil.example")).await, 403);
    assert_eq!(status(client.post(sim.url("/api/chat")).body("{")).await, 400);
    assert_eq!(status(client.post(sim.url("/api/chat"))).await, 400);
    assert!(sim.get("/api/version").await["version"].is_string());
    assert_eq!(sim.truth.requests("other"), 2, "nowhere, and a slash too many");
}

#[tokio::test]
async fn model_in_another_spelling_is_the_listed_model() {
    let sim = run(Config { models: vec!["Mixed:Q4_K_M".into(), "sim:latest".into()], ..quick() });
    let listed = async |path: &str| -> Vec<String> {
        let models = sim.get(path).await;
        let models = models["models"].as_array().unwrap().iter();
        models.map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    for name in
        ["mixed:q4_k_m", "MIXED:Q4_K_M", "Library/Mixed:q4_K_m", "registry.ollama.ai/library/mixed:q4_k_m"]
    {
        let ask = json!({"model": name, "prompt": "x"});
        assert_eq!(sim.post("/api/generate", &ask).send().await.unwrap().status(), 200, "{name}");
        assert_eq!(sim.post("/api/show", &ask).send().await.unwrap().status(), 200, "{name}");
    }
    assert_eq!(listed("/api/ps").await, ["Mixed:Q4_K_M"], "once, as it is listed");
    // A model that is created again keeps its spelling.
    let copy = json!({"source": "SIM", "destination": "mixed:Q4_k_m"});
    assert_eq!(sim.post("/api/copy", &copy).send().await.unwrap().status(), 200);
    assert_eq!(listed("/api/tags").await, ["Mixed:Q4_K_M", "sim:latest"]);
    let delete = sim.client.delete(sim.url("/api/delete")).json(&json!({"model": "MIXED:q4_k_m"}));
    assert_eq!(delete.send().await.unwrap().status(), 200);
    assert_eq!(listed("/api/tags").await, ["sim:latest"]);
    for name in ["mixed", "sim:1b", "me/sim", "registry.ollama.ai/sim", "sim/"] {
        let response = sim.post("/api/show", &json!({"model": name})).send().await.unwrap();
        assert_eq!(response.status(), 404, "{name}");
    }
}
