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

mod account;
mod answer;
mod ask;
mod blobs;
mod broken_off;
mod cloud;
mod config;
mod decode;
mod dispatch;
mod embed;
mod endpoint;
mod engine;
mod faults;
mod frames;
mod host;
mod inference;
mod library;
mod lot;
mod multipart;
mod name;
mod object;
mod prompt;
mod ready;
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

pub use cloud::Cloud;
pub use config::Config;
pub use faults::{Fault, Faults, UnknownFault};
pub use server::{Bound, Simulator};
pub use truth::Truth;
pub use version::{ChatPath, OllamaVersion, UnknownName};

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
