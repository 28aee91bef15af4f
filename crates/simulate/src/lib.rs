//! A simulated Ollama: the wire format of a real version, at a configured speed.
//!
//! It serves demos, tests and benchmarks. It has no model: answers are words drawn from a seed, and the same prompt
//! to the same model gets the same words. Each record with content or thinking is one token. The tokens of a tool
//! call are not sent until the call is complete, as in Ollama. `eval_count` counts all of these tokens. The simulated
//! model has no end token, which Ollama counts although it is not sent. The head of a response comes with the first
//! record, after load, queue and prefill. The durations in the last record are the real ones, as far as the simulated
//! version reports real ones.
//!
//! Three headers change one request. `x-simulate-fault: reset` (or `stall:2s,split`, …) causes these faults with
//! certainty, instead of [`Config::faults`]. `x-simulate-rate: 200` sets its rate, and `x-simulate-chat: native` sets
//! the path of [`Config::chat`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use streamgauge_simulate::{Config, Simulator};
//!
//! let bound = Simulator::bind(Config { load_time: Duration::ZERO, ..Config::default() })?;
//! let (address, truth) = (bound.addr(), bound.truth());
//! tokio::spawn(bound.run(std::future::pending()));
//! // … talk to `address`, then compare with what really happened:
//! truth.until(|truth| truth.ended() == 1).await;
//! assert_eq!(truth.output_tokens(), 64);
//! # Ok(())
//! # }
//! ```

mod answer;
mod ask;
mod cloud;
mod decode;
mod embed;
mod endpoint;
mod engine;
mod faults;
mod frames;
mod host;
mod inference;
mod library;
mod multipart;
mod name;
mod object;
mod prompt;
mod reference;
mod reply;
mod script;
mod seed;
mod server;
mod shelf;
mod stamp;
mod stream;
mod transfer;
mod truth;
mod version;
mod voice;
mod zstd;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use cloud::Cloud;
pub use faults::{Fault, Faults, UnknownFault};
pub use server::{Bound, Simulator};
pub use truth::Truth;
pub use version::{ChatPath, OllamaVersion, UnknownName};

/// Settings of the simulated Ollama.
#[derive(Clone, Debug)]
pub struct Config {
    /// The version of Ollama whose format it uses.
    pub version: OllamaVersion,
    /// The address to listen on. Port 0 picks a free port. Default: a free port on loopback.
    pub listen: SocketAddr,
    /// The models, by their canonical names with a tag. If the body of a request cannot be read (zstd without the
    /// feature `coding`), the first model is used.
    pub models: Vec<String>,
    /// Tokens of an answer. `num_predict` or `max_tokens` can make it shorter, not longer.
    pub tokens: u32,
    /// The context of a request without `num_ctx`. A longer prompt is cut or refused.
    pub context: u32,
    /// Whether the models embed as well as generate. If not, embeddings are refused as by a model that only
    /// generates.
    pub embeddings: bool,
    /// The state of the cloud.
    pub cloud: Cloud,
    /// How chats are rendered, which decides the records that carry tool calls.
    pub chat: ChatPath,
    /// Tool calls in the answer to a chat with tools. The tools of the request are called in turn.
    pub tool_calls: u32,
    /// Tokens of text before the first tool call. All other tokens belong to the calls.
    pub tool_text: u32,
    /// Tokens per second of a stream that decodes alone. 0: as fast as the client reads.
    pub rate: f64,
    /// Time to load a model into memory.
    pub load_time: Duration,
    /// Prompt tokens per second. 0: a prompt takes no time.
    pub prefill_rate: f64,
    /// Slots of each model: `OLLAMA_NUM_PARALLEL`.
    pub parallel: usize,
    /// Requests that may wait for a slot, over all models: `OLLAMA_MAX_QUEUE`.
    pub max_queue: usize,
    /// The cost of each further stream for the others. Of n streams that decode, each runs at `rate / (1 + contention
    /// * (n - 1))`.
    pub contention: f64,
    /// The variation of the interval between two tokens, relative to the mean. 0.1 is 10 % in both directions.
    pub jitter: f64,
    /// The failures to cause.
    pub faults: Faults,
    /// The random seed.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: OllamaVersion::default(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            models: vec!["sim:latest".into()],
            tokens: 64,
            context: 4096,
            embeddings: true,
            cloud: Cloud::default(),
            chat: ChatPath::default(),
            tool_calls: 1,
            tool_text: 0,
            rate: 50.0,
            load_time: Duration::from_secs(1),
            prefill_rate: 2000.0,
            parallel: 4,
            max_queue: 512,
            contention: 0.1,
            jitter: 0.1,
            faults: Faults::default(),
            seed: 0,
        }
    }
}

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
