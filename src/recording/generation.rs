//! A generation as `/recording` sends it and as the files of a recording hold it. It has no content.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Pseudonyms, RecordedStream};

/// A generation that ended. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generation {
    /// The time at which its request was accepted, since the recording began.
    pub(crate) accepted_s: f64,
    pub(crate) route: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    /// The pseudonym of the caller. `None`: callers are not recorded.
    pub(crate) caller: Option<String>,
    /// `None`: the response is complete.
    pub(crate) failure: Option<String>,
    pub(crate) duration_s: f64,
    pub(crate) ttft_s: Option<f64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) eval_s: Option<f64>,
    pub(crate) prompt_eval_s: Option<f64>,
    pub(crate) load_s: Option<f64>,
    pub(crate) total_s: Option<f64>,
    pub(crate) queue_s: Option<f64>,
    pub(crate) hidden_queue_s: Option<f64>,
    pub(crate) client_wait_s: f64,
    /// The bytes of all chunks, those without room included.
    pub(crate) bytes: u64,
    /// The last chunks, for which there was no room.
    pub(crate) lost_chunks: u64,
    /// Of each chunk: the seconds since its request was accepted, its bytes, its records, and the streams that decoded at
    /// the Ollama.
    pub(crate) chunks: Vec<(f64, u32, u32, u32)>,
}

impl Generation {
    /// Returns a generation of a recording that began at `began`. `callers` are the pseudonyms of the callers, if these are
    /// recorded.
    pub(crate) fn of(stream: &RecordedStream, began: Instant, callers: Option<&Pseudonyms>) -> Generation {
        let ending = &stream.ending;
        let usage = &ending.usage;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let chunks = stream.chunks.chunks().iter();
        Generation {
            accepted_s: stream.accepted.saturating_duration_since(began).as_secs_f64(),
            route: ending.route.label().to_owned(),
            model: ending.model.clone(),
            upstream: ending.upstream.clone(),
            caller: ending.caller.as_deref().zip(callers).map(|(caller, known)| known.of(caller)),
            failure: (!ending.is_complete()).then(|| ending.reason().into_owned()),
            duration_s: ending.duration.as_secs_f64(),
            ttft_s: seconds(ending.first_token),
            output_tokens: usage.output_tokens,
            prompt_tokens: usage.prompt_tokens,
            eval_s: seconds(usage.eval),
            prompt_eval_s: seconds(usage.prompt_eval),
            load_s: seconds(usage.load),
            total_s: seconds(usage.total),
            queue_s: seconds(ending.queue_wait),
            hidden_queue_s: seconds(ending.hidden_queue),
            client_wait_s: ending.client_wait.as_secs_f64(),
            bytes: stream.chunks.bytes(),
            lost_chunks: stream.chunks.lost(),
            chunks: chunks
                .map(|chunk| (chunk.at.as_secs_f64(), chunk.bytes, chunk.records, chunk.streams))
                .collect(),
        }
    }
}
