//! What Ollama speaks: routes, requests, records. No async, no I/O.

mod gather;
mod json;
pub mod name;
mod ndjson;
pub mod record;
pub mod request;
pub mod route;
pub mod scanner;
pub mod splitter;
mod sse;
pub mod timestamp;
pub mod usage;

pub use name::{canonical_model, short_model};
pub use record::{Kind, Record, Unscanned};
pub use request::{Peek, is_model_name};
pub use route::{Dialect, Route, model_of_path};
pub use scanner::{Framing, Scan, Scanner};
pub use splitter::{Piece, Splitter};
pub use usage::Usage;
