//! The trait of the dialects.

use std::ops::Range;

use super::{
    super::{
        frames::{Frames, Template},
        object::json,
        script::{Part, Script},
    },
    ending::Ending,
};

/// The message of an error in the middle of a stream.
pub(crate) const FAILURE: &str = "an error was encountered while running the model: simulated failure";

/// A dialect, for one answer. Its methods are called in the order of the stream: `open`, then for each part `enter`,
/// `template` for its tokens, and `leave`; `calls`, if tool calls have records of their own; and finally `close`, or
/// `fail`.
pub(crate) trait Voice: Send + Sync {
    /// Returns the content type of the streamed body.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Returns the content type of a body that is not streamed.
    fn whole_type(&self) -> &'static str {
        "application/json"
    }

    /// Whether the response has a hop-by-hop `Connection: keep-alive`, and `Cache-Control: no-cache`.
    fn keeps_alive(&self) -> bool {
        false
    }

    /// Writes the records before the first token. `done` states that the first record is also the last one.
    fn open(&self, _done: bool, _ending: &Ending, _out: &mut Frames) {}

    /// Writes the records before thinking or content.
    fn enter(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// Returns the template of a token of thinking or content. `first` states that the token begins the stream.
    fn template(&self, part: Part, first: bool, script: &Script) -> Template;

    /// Writes the records after thinking or content.
    fn leave(&self, _part: Part, _script: &Script, _out: &mut Frames) {}

    /// Writes the records of tool calls when they are complete.
    fn calls(&self, _calls: Range<usize>, _first: bool, _ending: &Ending, _out: &mut Frames) {}

    /// Whether the last record contains the text of a call that was cut by the limit. Otherwise it is content before
    /// the last record.
    fn closes_with_cut_call(&self) -> bool {
        false
    }

    /// Writes the end of the stream, with the tool calls that had no record of their own.
    fn close(&self, first: bool, ending: &Ending, out: &mut Frames);

    /// Starts the second run of the model, whose prompt contains the thinking, to answer in the requested format.
    fn restart(&self, _out: &mut Frames) {}

    /// Whether only the end is sent, although the head comes with the first token.
    fn is_silent(&self) -> bool {
        false
    }

    /// Writes the end of a failed stream. `/v1` does not report the failure.
    fn fail(&self, _out: &mut Frames) {}

    /// Returns a record that is not valid.
    fn garbage(&self) -> &'static str {
        "data: this is {not JSON\n\n"
    }

    /// Returns the answer as one body.
    fn whole(&self, ending: &Ending) -> String;
}

/// Quotes a text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    json(text)
}
