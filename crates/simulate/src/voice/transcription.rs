//! `/v1/audio/transcriptions`: the head comes with the first token, and the text at the end.

use serde_json::Value;

use super::super::frames::{Frames, Template};
use super::super::script::{Part, Script};
use super::{Ending, Voice, quoted};

pub(super) struct Transcription {
    /// Whether the body is plain text instead of JSON.
    plain: bool,
}

impl Transcription {
    pub(super) fn new(form: &Value) -> Self {
        Self { plain: form.get("response_format").and_then(Value::as_str) == Some("text") }
    }
}

impl Voice for Transcription {
    /// The head is sent before Ollama sets the content type.
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn is_silent(&self) -> bool {
        true
    }

    fn template(&self, _part: Part, _first: bool, _script: &Script) -> Template {
        Template::default()
    }

    fn close(&self, _first: bool, ending: &Ending, out: &mut Frames) {
        out.write(&self.whole(ending));
    }

    fn whole(&self, ending: &Ending) -> String {
        let text = ending.content();
        let text = text.trim();
        if self.plain { text.to_owned() } else { format!("{{\"text\":{}}}\n", quoted(text)) }
    }
}
