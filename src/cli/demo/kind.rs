//! The kinds of clients and their requests.

use reqwest::{Client, RequestBuilder};
use serde_json::json;

/// The number of chunks that a client reads before it disconnects.
const PATIENCE: usize = 10;
/// The faults on purpose, in turn. Each ends a stream with a different outcome.
const FAULTS: [&str; 3] = ["error", "truncate", "reset"];

/// The API of a client, and its behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientKind {
    Chat,
    Generate,
    OpenAi,
    /// Disconnects in the middle of the stream.
    Impatient,
    /// Requests a model that does not exist, or meets a fault.
    Unlucky,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) model: &'static str,
    pub(super) prompt: String,
    pub(super) tokens: u32,
    /// The number of earlier requests of this client.
    pub(super) turn: usize,
}

impl ClientKind {
    pub(super) const ALL: [ClientKind; 5] = [
        ClientKind::Chat,
        ClientKind::Generate,
        ClientKind::OpenAi,
        ClientKind::Impatient,
        ClientKind::Unlucky,
    ];

    /// Sends the request, and reads the response as far as this kind does.
    ///
    /// # Errors
    /// A response that ends early, as the client sees it.
    pub(super) async fn ask(self, client: &Client, base: &str, question: Question) -> reqwest::Result<()> {
        let mut response = self.request(client, base, question).send().await?;
        let mut left = if self == ClientKind::Impatient { PATIENCE } else { usize::MAX };
        while left > 0 && response.chunk().await?.is_some() {
            left -= 1;
        }
        Ok(())
    }

    fn request(self, client: &Client, base: &str, question: Question) -> RequestBuilder {
        let Question { mut model, prompt, tokens, turn } = question;
        let fault = FAULTS.get(turn % (FAULTS.len() + 1)).filter(|_| self == ClientKind::Unlucky);
        if self == ClientKind::Unlucky && fault.is_none() {
            model = "missing";
        }
        let messages = json!([{ "role": "user", "content": &prompt }]);
        let options = json!({ "num_predict": tokens });
        let (path, body) = match self {
            ClientKind::Generate => {
                ("/api/generate", json!({ "model": model, "prompt": prompt, "options": options }))
            }
            ClientKind::OpenAi => (
                "/v1/chat/completions",
                json!({
                    "model": model, "messages": messages, "max_tokens": tokens, "stream": true,
                    "stream_options": { "include_usage": true },
                }),
            ),
            ClientKind::Chat | ClientKind::Impatient | ClientKind::Unlucky => {
                ("/api/chat", json!({ "model": model, "messages": messages, "options": options }))
            }
        };
        let request = client.post(format!("{base}{path}")).json(&body);
        match fault {
            Some(fault) => request.header("x-simulate-fault", *fault),
            None => request,
        }
    }
}
