//! The settings of the simulated Ollama.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{
    cloud::Cloud,
    faults::Faults,
    version::{ChatPath, OllamaVersion},
};

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
    /// The cost of each further stream for the others. Of n streams that decode, each runs at
    /// `rate / (1 + contention * (n - 1) + congestion * n * (n - 1))`.
    pub contention: f64,
    /// The cost of each pair of streams, for example of memory that they take from each other. If it is above 0, the
    /// throughput of all streams peaks at `sqrt((1 - contention) / congestion)` streams.
    pub congestion: f64,
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
            congestion: 0.0,
            jitter: 0.1,
            faults: Faults::default(),
            seed: 0,
        }
    }
}
