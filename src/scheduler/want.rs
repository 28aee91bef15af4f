//! The wish of a request: the upstreams that may serve it, and the model.

/// The wish of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The canonical name of its model, if it names one.
    pub model: Option<String>,
    /// Ollama passes it on to its cloud: it takes no slot at an upstream, and waits for its caller's own limit alone.
    pub is_cloud: bool,
    /// Ollama passes it on to its cloud if its model is one of the cloud's.
    pub may_ask_cloud: bool,
    /// The upstreams that could not be reached for it.
    pub tried: Vec<usize>,
}
