//! An answer as a body: one record after the other, each when it is due.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::answer::BrokenOff;
use super::decode::{Decode, Step};
use super::faults::{Fate, Fault};
use super::frames::{Frames, Piece, Template};
use super::script::Part;
use super::seed::Seed;
use super::voice::{Ending, Voice};

/// The time between the halves of a split record.
const GAP: Duration = Duration::from_millis(1);

/// A streamed answer.
pub(super) struct Stream {
    voice: Box<dyn Voice>,
    ending: Ending,
    decode: Decode,
    frames: Frames,
    part: Option<(Part, Template)>,
    fate: Fate,
    seed: Seed,
    finish: Option<Finish>,
    /// A chunk was handed over, and there was no pause since.
    unflushed: bool,
}

#[derive(Clone, Copy)]
enum Finish {
    Whole,
    /// A clean end of something unfinished.
    Short,
    Broken,
}

impl Stream {
    pub(super) fn new(voice: Box<dyn Voice>, ending: Ending, decode: Decode, fate: Fate, seed: Seed) -> Self {
        Self {
            voice,
            ending,
            decode,
            frames: Frames::new(),
            part: None,
            fate,
            seed,
            finish: None,
            unflushed: false,
        }
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if std::mem::take(&mut self.unflushed) && self.decode.is_due() {
            // Ollama flushes each record; hyper what it has once the body pauses.
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
                Some(Finish::Short) => {
                    self.decode.settle();
                    return Poll::Ready(None);
                }
                Some(Finish::Broken) => {
                    self.decode.settle();
                    self.finish = Some(Finish::Short);
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
            }
            match ready!(self.decode.poll_step(cx)) {
                Step::Token(index) => self.token(index),
                Step::Cut(fault) => self.cut(fault),
                Step::End => self.close(),
            }
        }
    }

    fn token(&mut self, index: u32) {
        let script = &self.ending.script;
        let part = script.part(index);
        if index == 0 {
            self.voice.open(&self.ending, &mut self.frames);
        }
        if self.part.as_ref().is_none_or(|(current, _)| *current != part) {
            if let Some((left, _)) = self.part.take() {
                self.voice.leave(left, script, &mut self.frames);
            }
            self.voice.enter(part, script, &mut self.frames);
            self.part = Some((part, self.voice.template(part, script)));
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
        if let Some((_, template)) = &self.part {
            self.frames.hold(template, script.word(index));
        }
        if strikes(Fault::Split, self.fate.split) {
            self.frames.flush_split();
        } else if !strikes(Fault::Batch, self.fate.batch) {
            self.frames.flush();
        }
    }

    fn cut(&mut self, fault: Fault) {
        self.frames.flush();
        match fault {
            Fault::Reset => {
                // What came before is to arrive: hyper drops what it has not flushed.
                self.frames.push_gap();
                self.finish = Some(Finish::Broken);
                return;
            }
            Fault::Error => self.voice.fail(&mut self.frames),
            _ => {}
        }
        self.finish = Some(Finish::Short);
    }

    fn close(&mut self) {
        if let Some((left, _)) = self.part.take() {
            self.voice.leave(left, &self.ending.script, &mut self.frames);
        }
        self.ending.finish();
        self.voice.close(&self.ending, &mut self.frames);
        self.frames.flush();
        self.finish = Some(Finish::Whole);
    }
}
