//! The account at Ollama's cloud, and the routes that the cloud serves.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    cloud::Cloud,
    endpoint::Endpoint,
    engine::Engine,
    reply::{Reply, json_reply, reply},
};

const USER: &str =
    r#"{"id":"00000000-0000-0000-0000-000000000000","email":"sim@example.com","name":"sim","plan":"free"}"#;
const SIGNIN: &str = "https://ollama.com/connect?name=sim&key=c2lt";

impl Cloud {
    /// Returns the refusal if the request does not reach the cloud. The message is in the format of `/api` on every
    /// route.
    pub(super) fn refuse(self, path: &str, what: &str) -> Option<Reply> {
        match self {
            Self::Answers => None,
            Self::SignedOut => Some(unauthorized()),
            Self::Unreachable => {
                let error = format!(
                    "Post \"https://ollama.com:443{path}\": dial tcp: lookup ollama.com: no such host"
                );
                Some(json_reply(StatusCode::BAD_GATEWAY, &json!({"error": error})))
            }
            Self::Disabled => {
                let error = format!("ollama cloud is disabled: {what}");
                Some(json_reply(StatusCode::FORBIDDEN, &json!({"error": error})))
            }
        }
    }
}

/// Serves GET `/api/status` and the recommended models.
pub(super) fn get(engine: &Engine, endpoint: Endpoint) -> Reply {
    let body = if endpoint == Endpoint::Status {
        let disabled = engine.config.cloud == Cloud::Disabled;
        let source = if disabled { "env" } else { "none" };
        json!({"cloud": {"disabled": disabled, "source": source}})
    } else {
        json!({"recommendations": [
            {"model": "sim:cloud", "description": "A simulated model", "context_length": 262_144,
             "max_output_tokens": 262_144},
        ]})
    };
    json_reply(StatusCode::OK, &body)
}

/// Serves the account: shows it, and signs out.
pub(super) fn account(engine: &Engine, endpoint: Endpoint) -> Reply {
    let cloud = engine.config.cloud;
    let signs_out = endpoint != Endpoint::Me;
    let error = |status, error: &str| json_reply(status, &json!({"error": error}));
    match cloud {
        _ if signs_out && !cloud.is_reachable() => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "there was an error signing out")
        }
        Cloud::SignedOut if signs_out => error(StatusCode::UNAUTHORIZED, "you are not currently signed in"),
        _ if signs_out => json_reply(StatusCode::OK, &Value::Null),
        Cloud::Answers => reply(StatusCode::OK, "application/json; charset=utf-8", USER),
        Cloud::SignedOut => unauthorized(),
        // 0.12 has no message for this case.
        _ if !engine.config.version.runs_llama_server() => json_reply(StatusCode::OK, &Value::Null),
        _ => error(StatusCode::SERVICE_UNAVAILABLE, "account unavailable"),
    }
}

/// Serves web search and web fetch, as the cloud does.
pub(super) fn web(engine: &Engine, endpoint: Endpoint) -> Reply {
    let page = json!({"title": "Sim", "content": "A simulated page.", "url": "https://example.com/"});
    let (path, what, found) = if endpoint == Endpoint::WebSearch {
        ("/api/web_search", "web search is unavailable", json!({"results": [page]}))
    } else {
        ("/api/web_fetch", "web fetch is unavailable", page)
    };
    engine.config.cloud.refuse(path, what).unwrap_or_else(|| json_reply(StatusCode::OK, &found))
}

fn unauthorized() -> Reply {
    json_reply(StatusCode::UNAUTHORIZED, &json!({"error": "unauthorized", "signin_url": SIGNIN}))
}
