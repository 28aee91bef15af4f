//! Reads a request's JSON body ahead, piece by piece as it arrives.
//!
//! A [`PeekReader`] reads the fields of the outermost object and skips their values. It keeps no copy of what it skips,
//! so its memory does not depend on the length of the body. Like the reader of records, it does not validate what it
//! skips: Ollama reports mistakes there to the client.

mod field;
mod load;
mod reader;
mod seen;
#[cfg(test)]
mod tests;

pub use load::{KeepAlive, LoadOptions};
pub use reader::PeekReader;
pub use seen::Peek;

impl Peek {
    /// Reads a body, or its beginning. A cut or malformed part ends the reading, and the parts before it stay. As in
    /// Go, a later field with the same name wins, and case does not matter. `null` keeps the value of an earlier
    /// field. A value of the wrong type, which Ollama refuses, removes it.
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
        let mut reader = PeekReader::default();
        reader.read(body);
        reader.peek()
    }
}
