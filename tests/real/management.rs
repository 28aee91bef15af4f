//! All routes that do not generate, with curl: equal to the direct responses, including errors.

use serde_json::json;

use super::{
    answer::{Answer, ask},
    ollama::{EMBEDDER, MODEL, Ollama},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// A blob and its digest.
const BLOB: &str = "some blob data";
const DIGEST: &str = "sha256:711f64956cc82a77123e5ac64e5d5e9d71512c17fd7a37a49aa8432a72ef229c";

struct Pair {
    ollama: Ollama,
    sidecar: Sidecar,
}

impl Pair {
    fn start(version: Version) -> Pair {
        let ollama = Ollama::start(version, 4);
        let sidecar = Sidecar::start(&ollama);
        Pair { ollama, sidecar }
    }

    /// Sends a request directly and then through the sidecar. Both responses must be equal, with this status.
    fn same(&self, method: &str, path: &str, body: Option<&str>, status: u16) -> Answer {
        let direct = ask(method, &self.ollama.url, path, body);
        let through = ask(method, &self.sidecar.url, path, body);
        assert_eq!(direct.status, status, "{method} {path}: {direct:?}");
        assert_eq!(through.lasting(), direct.lasting(), "{method} {path}");
        through
    }
}

fn reading_routes_answer_the_same_as_directly(version: Version) {
    let pair = Pair::start(version);
    let named = json!({"model": MODEL}).to_string();
    let tags = pair.same("GET", "/api/tags", None, 200).json();
    assert_eq!(tags["models"].as_array().unwrap().len(), 5, "{tags}");
    let ps = pair.same("GET", "/api/ps", None, 200).json();
    assert_eq!(ps["models"][0]["name"], format!("{MODEL}:latest"), "{ps}");
    pair.same("GET", "/api/version", None, 200);
    pair.same("POST", "/api/show", Some(&named), 200);
    pair.same("GET", "/v1/models", None, 200);
    pair.same("GET", &format!("/v1/models/{EMBEDDER}"), None, 200);
    pair.same("GET", "/", None, 200);
    pair.same("HEAD", "/", None, 200);

    pair.same("GET", "/v1/models/missing", None, 404);
    pair.same("POST", "/api/show", Some(r#"{"model":"missing"}"#), 404);
    pair.same("GET", "/api/generate", None, 405);
    pair.same("GET", "/api/nothing", None, 404);
    pair.same("GET", "//api/tags", None, 307);
    pair.same("GET", "/api/tags/", None, 301);
    pair.same("GET", "/%61pi/version", None, 200);
    let since_0_30 = if version.runs_llama_server() { &[][..] } else { &["/v1/responses", "/v1/messages"] };
    for path in since_0_30 {
        let body = json!({"model": MODEL, "input": "x", "max_tokens": 1, "messages": []}).to_string();
        pair.same("POST", path, Some(&body), 404);
    }
    for path in ["/api/generate", "/api/chat", "/v1/chat/completions", "/v1/completions"] {
        pair.same("POST", path, Some("{"), 400);
        let missing =
            json!({"model": "missing", "prompt": "x", "messages": [{"role": "user", "content": "x"}]});
        pair.same("POST", path, Some(&missing.to_string()), 404);
    }
    let outcomes = ["client_abort", "upstream_error", "truncated", "in_band_error", "refused"];
    for outcome in outcomes.map(|outcome| format!(r#"outcome="{outcome}""#)) {
        assert_eq!(pair.sidecar.sum("requests_total", &[&outcome]), 0.0, "{outcome}");
    }
}

fn model_changing_routes_do_the_same_as_directly(version: Version) {
    let Pair { ollama, sidecar } = Pair::start(version);
    let both = |method: &str, path: &str, body: &dyn Fn(&str) -> String, status: u16| {
        let [direct, through] = [(&ollama.url, "direct"), (&sidecar.url, "through")]
            .map(|(url, name)| ask(method, url, path, Some(&body(name))));
        assert_eq!(direct.status, status, "{method} {path}: {direct:?}");
        assert_eq!(through.lasting(), direct.lasting(), "{method} {path}");
        through
    };
    let create = |name: &str| json!({"model": name, "from": MODEL, "system": "Be brief."}).to_string();
    // From now on its layers exist for both.
    ask("POST", &ollama.url, "/api/create", Some(&create("kept")));
    let created = both("POST", "/api/create", &create, 200);
    assert_eq!(created.records().last().unwrap()["status"], "success");
    let copy = |name: &str| json!({"source": name, "destination": format!("{name}-copy")}).to_string();
    both("POST", "/api/copy", &copy, 200);
    let tags = ask("GET", &sidecar.url, "/api/tags", None).json();
    let names: Vec<_> =
        tags["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    for name in ["direct:latest", "direct-copy:latest", "through:latest", "through-copy:latest"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    for suffix in ["", "-copy"] {
        let delete = |name: &str| json!({"model": format!("{name}{suffix}")}).to_string();
        both("DELETE", "/api/delete", &delete, 200);
    }
    let missing = |_: &str| json!({"model": "missing", "source": "missing", "destination": "x"}).to_string();
    both("DELETE", "/api/delete", &missing, 404);
    both("POST", "/api/copy", &missing, 404);

    // A registry that does not answer: a stream with status 200 whose last record is the error.
    let pull = |_: &str| json!({"model": "http://127.0.0.1:1/none/none", "insecure": true}).to_string();
    let pulled = both("POST", "/api/pull", &pull, 200);
    assert!(pulled.records().last().unwrap()["error"].is_string(), "{pulled:?}");
    sidecar.until("requests_total", &[r#"route="pull""#, r#"outcome="in_band_error""#], 1.0);
    sidecar.until("requests_total", &[r#"route="create""#, r#"outcome="complete""#], 1.0);
    sidecar.until("requests_total", &[r#"route="delete""#, r#"outcome="complete""#], 2.0);
}

fn blob_is_uploaded_and_found(version: Version) {
    let Pair { ollama, sidecar } = Pair::start(version);
    let path = format!("/api/blobs/{DIGEST}");
    for url in [&ollama.url, &sidecar.url] {
        assert_eq!(ask("HEAD", url, &path, None).status, 404);
    }
    let stored = ask("POST", &sidecar.url, &path, Some(BLOB));
    assert_eq!(stored.status, 201, "{stored:?}");
    for url in [&ollama.url, &sidecar.url] {
        assert_eq!(ask("HEAD", url, &path, None).status, 200);
    }
    // Otherwise the first one would store it under its true digest.
    let wrong = format!("/api/blobs/sha256:{}", "0".repeat(64));
    let [direct, through] = [&ollama.url, &sidecar.url].map(|url| ask("POST", url, &wrong, Some(BLOB)));
    assert_eq!((direct.status, through.lasting()), (400, direct.lasting()));
}

on_every_ollama! {
    reading_routes_answer_the_same_as_directly,
    model_changing_routes_do_the_same_as_directly,
    blob_is_uploaded_and_found,
}
