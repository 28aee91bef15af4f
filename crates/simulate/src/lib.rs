//! A simulated Ollama: the real wire format of a version of it, at a configured speed.
//!
//! It serves demos, tests and benches. What it does not have is a model: answers are words drawn from a seed, and
//! the same prompt to the same model gets the same words. Every record with content or thinking is one token. The
//! tokens of a tool call are silent until the call is complete, as Ollama's are. `eval_count` is the number of all of
//! them; the simulated model has no silent end token, which Ollama counts. The head of a response comes with the first
//! record, after load, queue and prefill, and the durations in the last record are the true ones, as far as the
//! version tells the truth.
//!
//! Three headers steer one request: `x-simulate-fault: reset` (or `stall:2s,split`, …) makes faults certain in place
//! of those of [`Config::faults`], `x-simulate-rate: 200` sets its rate, and `x-simulate-chat: native` the path of
//! [`Config::chat`].
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

/// How the simulated Ollama behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which Ollama it speaks like.
    pub version: OllamaVersion,
    /// Where it listens; port 0 picks a free one. The default is a free port of loopback.
    pub listen: SocketAddr,
    /// The models it has, canonically with their tag. The first is meant by a request whose body
    /// cannot be read (in zstd, without the feature `coding`).
    pub models: Vec<String>,
    /// Tokens of an answer. `num_predict` or `max_tokens` makes it shorter, never longer.
    pub tokens: u32,
    /// `num_ctx` where a request does not say: a longer prompt is cut or refused.
    pub context: u32,
    /// Whether its models embed as well as generate. If not, embeddings are refused as a model that only generates
    /// refuses them.
    pub embeddings: bool,
    /// How the cloud behaves.
    pub cloud: Cloud,
    /// How chats are rendered, and with that where their tool calls are.
    pub chat: ChatPath,
    /// Tool calls in the answer to a chat that has tools. The tools of the request are called in turn.
    pub tool_calls: u32,
    /// Tokens of text before the first tool call; all others are those of the calls.
    pub tool_text: u32,
    /// Tokens a second of a stream that decodes alone. 0 is as fast as the client reads.
    pub rate: f64,
    /// Time to bring a model into memory.
    pub load_time: Duration,
    /// Tokens of a prompt a second. 0 takes no time.
    pub prefill_rate: f64,
    /// Slots of each model: `OLLAMA_NUM_PARALLEL`.
    pub parallel: usize,
    /// Requests that may wait for a slot, of all models together: `OLLAMA_MAX_QUEUE`.
    pub max_queue: usize,
    /// What each further stream costs the others: among n that decode, each has
    /// `rate / (1 + contention * (n - 1))`.
    pub contention: f64,
    /// How far an interval between tokens strays from the mean, relative to it; 0.1 is up to 10 %
    /// either way.
    pub jitter: f64,
    /// What goes wrong on purpose.
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

/// The README's example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
