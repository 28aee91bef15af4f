//! Ollama's protocol: routes, requests, records. No async, no I/O.

mod coding;
mod gather;
mod json;
mod multipart;
mod name;
mod ndjson;
#[cfg_attr(not(any(feature = "shaping", test)), expect(dead_code, reason = "the shaping edits records"))]
pub(crate) mod object;
mod peek;
mod record;
mod route;
mod scanner;
mod splitter;
mod sse;
mod timestamp;
mod usage;

pub use coding::{Coding, Decoder, Insertion, Undecodable};
pub use multipart::Multipart;
pub use name::{CLOUD, canonical_model, is_cloud_model, is_model_name, short_model};
pub use peek::{KeepAlive, LoadOptions, Peek, PeekReader};
pub use record::{FinishReason, Kind, Record, Unscanned};
pub use route::{Dialect, Route, model_of_path, model_of_query};
pub use scanner::{Framing, Scan, Scanner};
pub use splitter::{Piece, Splitter};
pub use timestamp::parse_timestamp;
pub use usage::Usage;
