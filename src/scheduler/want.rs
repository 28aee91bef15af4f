//! The wish of a request: the upstreams that may serve it, and the model.

/// The wish of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The canonical name of its model, if it names one.
    pub model: Option<String>,
    /// Ollama passes the request on to its cloud. It takes no slot at an upstream, and waits only for the limit of its
    /// caller.
    pub is_cloud: bool,
    /// Ollama passes the request on to its cloud if the model runs there.
    pub may_ask_cloud: bool,
    /// The upstreams that could not be reached for it.
    pub tried: Vec<usize>,
    /// The positions of the upstreams that may serve it, if they were looked up a moment ago; otherwise empty. They do not
    /// hold once the request waits.
    pub candidates: Box<[usize]>,
    /// The number of the request, by which its place in the queue is found; 0: none.
    pub id: u64,
}
