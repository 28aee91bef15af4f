//! Ollama's protocol: routes, requests, records. No async, no I/O.

pub mod coding;
mod gather;
mod json;
pub mod multipart;
pub mod name;
mod ndjson;
#[cfg_attr(not(feature = "shaping"), expect(dead_code, reason = "the shaping edits records"))]
pub(crate) mod object;
pub mod peek;
pub mod record;
pub mod route;
pub mod scanner;
pub mod splitter;
mod sse;
pub mod timestamp;
pub mod usage;

pub use coding::Coding;
pub use multipart::Multipart;
pub use name::{CLOUD, canonical_model, is_cloud_model, is_model_name, short_model};
pub use peek::Peek;
pub use record::{Kind, Record, Unscanned};
pub use route::{Dialect, Route, model_of_path, model_of_query};
pub use scanner::{Framing, Scan, Scanner};
pub use splitter::{Piece, Splitter};
pub use usage::Usage;
