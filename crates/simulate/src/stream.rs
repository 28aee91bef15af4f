//! An answer as a body: each record is sent when it is due.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::broken_off::BrokenOff;
use super::decode::{Decode, Step};
use super::faults::{Fate, Fault};
use super::frames::{Frames, Piece, Template};
use super::lot::Lot;
use super::script::Part;
use super::seed::Seed;
use super::version::ChatPath;
use super::voice::{Ending, Voice, quoted};

/// The time between the two halves of a split record.
const GAP: Duration = Duration::from_millis(1);

/// A streamed answer.
pub(super) struct Stream {
    voice: Box<dyn Voice>,
    ending: Ending,
    decode: Decode,
    frames: Frames,
    part: Option<Part>,
    /// The template of the current part.
    template: Option<Template>,
    /// Whether a record was written.
    opened: bool,
    fate: Fate,
    /// The number of records that are sent together.
    group: u32,
    seed: Seed,
    finish: Option<Finish>,
    /// Whether a chunk was sent without a pause after it.
    unflushed: bool,
}

#[derive(Clone, Copy)]
enum Finish {
    Whole,
    /// The answer ends cleanly, but incomplete.
    Short,
    /// An error occurs before the first record.
    Failed,
    Broken,
}

impl Stream {
    pub(super) fn new(voice: Box<dyn Voice>, ending: Ending, decode: Decode, lot: Lot) -> Self {
        Self {
            voice,
            ending,
            decode,
            frames: Frames::new(),
            part: None,
            template: None,
            opened: false,
            fate: lot.fate,
            group: lot.group,
            seed: lot.seed,
            finish: None,
            unflushed: false,
        }
    }

    /// Generates up to the first record, with which the head of the response is sent. Returns whether there is a
    /// record: an error may come first.
    pub(super) async fn begin(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            while !self.opened && self.finish.is_none() {
                ready!(self.poll_generate(cx));
            }
            Poll::Ready(())
        })
        .await;
        let failed = matches!(self.finish, Some(Finish::Failed));
        if failed {
            self.decode.settle();
        }
        !failed
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if std::mem::take(&mut self.unflushed) && self.decode.is_due() {
            // Ollama flushes each record. hyper flushes when the body pauses.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(self.decode.poll_awake(cx));
            match self.frames.pop() {
                Some(Piece::Chunk(chunk)) => {
                    self.unflushed = true;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Some(Piece::Gap) => {
                    self.decode.pause(GAP);
                    continue;
                }
                None => {}
            }
            match self.finish {
                None => {}
                Some(Finish::Whole) => {
                    self.decode.ended();
                    return Poll::Ready(None);
                }
                Some(Finish::Short | Finish::Failed) => {
                    self.decode.settle();
                    return Poll::Ready(None);
                }
                Some(Finish::Broken) => {
                    self.decode.settle();
                    self.finish = Some(Finish::Short);
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
            }
            ready!(self.poll_generate(cx));
        }
    }

    fn poll_generate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.decode.poll_step(cx)) {
            Step::Token(index) => self.token(index),
            Step::Cut(fault) => self.cut(fault),
            Step::End => self.close(),
        }
        Poll::Ready(())
    }

    fn token(&mut self, index: u32) {
        if index >= self.ending.script.told() {
            return;
        }
        let part = self.ending.script.part(index);
        let call = self.ending.script.call_at(index).filter(|_| self.ending.path == ChatPath::GoTemplate);
        if part == Part::ToolCall && call.is_none() {
            return;
        }
        let first = !self.opened;
        self.open(false);
        if self.voice.is_silent() {
            return;
        }
        if self.part != Some(part) {
            if self.part == Some(Part::Thinking) && self.ending.restarts {
                self.voice.restart(&mut self.frames);
                self.frames.flush();
            }
            self.leave();
        }
        let strikes = |fault: Fault, probability: f64| {
            let strikes = self.seed.child(fault.index() as u64).happens(u64::from(index), probability);
            if strikes {
                self.decode.truth().count_fault(fault);
            }
            strikes
        };
        if strikes(Fault::Garbage, self.fate.garbage) {
            self.frames.push(self.voice.garbage());
        }
        if let Some(call) = call {
            self.voice.calls(call..call + 1, first, &self.ending, &mut self.frames);
        } else {
            let script = &self.ending.script;
            if self.part.is_none() {
                self.voice.enter(part, script, &mut self.frames);
                self.part = Some(part);
            }
            let template = self.template.get_or_insert_with(|| self.voice.template(part, first, script));
            self.frames.hold(template, script.word(index));
            if first {
                self.template = None;
            }
        }
        if strikes(Fault::Split, self.fate.split) {
            self.frames.flush_split();
        } else if !strikes(Fault::Batch, self.fate.batch) && (index + 1).is_multiple_of(self.group) {
            self.frames.flush();
        }
    }

    fn open(&mut self, done: bool) {
        if !self.opened {
            self.opened = true;
            self.voice.open(done, &self.ending, &mut self.frames);
        }
    }

    fn leave(&mut self) {
        self.template = None;
        if let Some(left) = self.part.take() {
            self.voice.leave(left, &self.ending.script, &mut self.frames);
        }
    }

    fn cut(&mut self, fault: Fault) {
        self.frames.flush();
        match fault {
            Fault::Reset => {
                if self.opened {
                    // The data before the break must arrive, and hyper drops data that it has not flushed.
                    self.frames.push_gap();
                }
                self.finish = Some(Finish::Broken);
                return;
            }
            Fault::Error if !self.opened => {
                self.finish = Some(Finish::Failed);
                return;
            }
            Fault::Error => self.voice.fail(&mut self.frames),
            _ => {}
        }
        self.finish = Some(Finish::Short);
    }

    /// Writes content that is not a token of its own.
    fn say(&mut self, text: &str) {
        if self.part != Some(Part::Content) {
            self.leave();
            self.open(false);
            self.voice.enter(Part::Content, &self.ending.script, &mut self.frames);
            self.part = Some(Part::Content);
        }
        let template = self.voice.template(Part::Content, false, &self.ending.script);
        let text = quoted(text);
        self.frames.hold(&template, &text[1..text.len() - 1]);
        self.frames.flush();
    }

    fn close(&mut self) {
        let cut = self.ending.cut_call();
        if !cut.is_empty() && !self.voice.closes_with_cut_call() {
            self.say(&cut);
        }
        self.leave();
        self.ending.finish(&self.decode);
        let first = !self.opened;
        self.open(true);
        self.voice.close(first, &self.ending, &mut self.frames);
        self.frames.flush();
        self.finish = Some(Finish::Whole);
    }
}
