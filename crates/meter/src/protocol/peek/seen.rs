//! The parts that could be read of a request's body.

use super::LoadOptions;

/// The parts of a request's JSON body that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek {
    /// The model as the client wrote it. `None`: it could not be read, or is not a valid name
    /// ([`is_model_name`](crate::protocol::is_model_name)). It comes from `model`, or else from the older `name`, or else from
    /// `source` (of a copy).
    pub model: Option<String>,
    /// The field `stream`, if there is one.
    pub stream: Option<bool>,
    /// Whether the request offers tools (`tools`) or sets a format (`format`, `response_format`, `text`). Its
    /// response may then send nothing until a call is complete. `None`: no such field was seen, and the body was not
    /// read to its end.
    pub constrained: Option<bool>,
    /// The bytes of the body that were read, without escapes, images, sound and files: strings under `images`, `image`,
    /// `image_url`, `url`, `data` and `file_data`; and without earlier reasoning, options and formats. The rest is nearly
    /// all prompt. With the bytes per token of the
    /// model's earlier requests, it gives an estimate of the tokens of this request.
    pub prompt_bytes: u64,
    /// The options that determine how the model is loaded. Options of an earlier field with the same name do not count.
    pub load: LoadOptions,
    /// The position at which `stream_options` can be added: the offset of the brace that ends the body. `None` unless
    /// the end was reached, the body asks for a stream (`"stream": true`), and the body does not set `include_usage`
    /// itself.
    pub usage_unasked_at: Option<u64>,
}
