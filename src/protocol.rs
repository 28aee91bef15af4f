//! What Ollama speaks: routes, requests, records. No async, no I/O.

pub mod ndjson;
pub mod record;
pub mod request;
pub mod route;
pub mod scanner;
pub mod sse;
pub mod usage;

pub use record::{Kind, Record, Unscanned};
pub use request::{Peek, canonical_model};
pub use route::{Dialect, Route};
pub use scanner::{Framing, Scan, Scanner};
pub use usage::Usage;
