//! Live traffic as a recording: the generations of clients that ended, with the times of their chunks.
//!
//! Whether a generation is recorded is decided when it arrives. A worker only puts it into a bounded queue when it ends. A
//! thread of its own hands it to the sink, so that a slow disk harms no stream. Nothing that is recorded is content, a
//! key or the name of a caller.

mod config;
mod families;
mod feed;
mod generation;
mod pseudonym;
mod recorder;
mod sampler;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use config::Config;
pub(crate) use feed::Subscription;
pub(crate) use generation::Generation;
pub(crate) use pseudonym::Pseudonyms;
pub(crate) use recorder::{BoxedSink, Recorder};
pub use stream::{RecordedStream, Stored, StreamSink};
