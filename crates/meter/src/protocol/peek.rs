//! What a request's JSON body tells beforehand, read from its pieces as they come.
//!
//! A [`Reader`] looks at the fields of the outermost object and leaps over their values. It keeps no copy of
//! what it leaps over, so a body of any length costs it the same memory. Like the reader of records, it does
//! not validate what it leaps over: Ollama tells the client of a mistake there.

mod field;
mod reader;
#[cfg(test)]
mod tests;

pub use reader::Reader;

/// What could be read of a request's JSON body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek {
    /// The model as the client wrote it; `None` where it could not be read or is none
    /// ([`is_model_name`](super::is_model_name)). From `model`, else the older `name`, else `source` (of a copy).
    pub model: Option<String>,
    /// The `stream` field, where there is one.
    pub stream: Option<bool>,
    /// It offers tools (`tools`) or sets a format (`format`, `response_format`, `text`), and so may be answered by nothing
    /// until a call is complete. `None`: none of these was seen, and the body was not read to its end.
    pub constrained: Option<bool>,
    /// Bytes of the body that were read, without those that carry images, sound or files: strings under `images`,
    /// `image`, `image_url`, `url`, `data` and `file_data`. The rest is nearly all prompt: with the bytes per token
    /// of a model's earlier requests it estimates the tokens of this one.
    pub prompt_bytes: u64,
    /// Where `stream_options` can be added: the offset of the brace that ends the body. `None` unless that was
    /// reached, and the body asks for a stream (`"stream": true`) and says nothing of `include_usage` itself.
    pub usage_unasked_at: Option<u64>,
}

impl Peek {
    /// Reads a body, or its beginning. What is cut off or malformed ends the reading; what was seen
    /// before stays. As Go does, a later field of the same name wins and case does not matter; `null`
    /// leaves what an earlier field said, and a value of the wrong type (which Ollama refuses) takes it
    /// away.
    ///
    /// ```
    /// use streamgauge_meter::protocol::Peek;
    ///
    /// let body = br#"{"messages":[{"role":"user","content":"Hi","images":["aGVsbG8="]}],"model":"llava"}"#;
    /// let peek = Peek::read(body);
    /// assert_eq!(peek.model.as_deref(), Some("llava"));
    /// assert_eq!(peek.prompt_bytes, body.len() as u64 - 8);
    /// ```
    #[must_use]
    pub fn read(body: &[u8]) -> Peek {
        let mut reader = Reader::default();
        reader.read(body);
        reader.peek()
    }
}
