//! The state of a running request at one moment.

use std::{sync::Arc, time::Duration};

use super::request_id::RequestId;
use crate::protocol::Route;

/// One line of `/streams`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The id of the request.
    pub id: RequestId,
    /// Its route.
    pub route: Route,
    /// Its model in the upstream's spelling, or else in the client's. `None`: not read yet, or it has none.
    pub model: Option<String>,
    /// The chosen upstream.
    pub upstream: Option<String>,
    /// The caller, once it is known.
    pub caller: Option<Arc<str>>,
    /// The time since its head was parsed.
    pub age: Duration,
    /// Records that arrived.
    pub records: u64,
    /// Content records that arrived, which are nearly tokens.
    pub tokens: u64,
    /// The time from accept to the first content record.
    pub first_token: Option<Duration>,
    /// The newest gap between chunks.
    pub last_gap: Option<Duration>,
    /// The median gap so far, with an error of at most a tenth from 1 ms to 1 s. It is up to 32 chunks or half a
    /// second behind.
    pub gap_p50: Option<Duration>,
    /// The 99th percentile of the gaps, with the same accuracy.
    pub gap_p99: Option<Duration>,
    /// The summed time in which its client did not read data that was there, the present stretch included.
    pub backpressure: Duration,
    /// The time since the newest chunk. `None` before the first one, and while the client holds the stream.
    pub silent: Option<Duration>,
    /// Whether its response is a stream, as far as is known. Otherwise the response comes at once, at its end.
    pub streamed: bool,
    /// The bytes of the request that may be prompt, as far as they were read.
    pub prompt_bytes: u64,
    /// Whether its prompt does not fit into the model's context, as far as its bytes tell. Ollama then cuts the prompt.
    pub overlong_prompt: bool,
    /// Whether it has had its first record.
    pub decoding: bool,
    /// Whether the sidecar waits for its next chunk. Otherwise its client has not taken the last one.
    pub awaited: bool,
}
