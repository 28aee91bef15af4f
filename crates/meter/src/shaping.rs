//! How a stream is handed on: at a pace, in which pieces, with what taken out.
//!
//! Everything here wraps an [`http_body::Body`] and is driven by whoever polls it: no task, no channel. What
//! is off costs a branch a frame.

pub mod adaptive;
mod assembly;
pub mod coalesce;
mod families;
mod layer;
mod merge;
mod pace;
mod rate;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
mod usage;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body::Body;
use tokio::time::Instant;

use crate::protocol::{Dialect, Framing, Peek, Route};
use adaptive::{Adaptive, Reading};
use coalesce::Coalescing;
use families::Tally;
use merge::Merging;
use pace::Pacing;
use rate::Rate;
use usage::Stripping;

pub use coalesce::Coalesce;
pub use families::Families;
pub use layer::Layer;
pub use merge::Merge;
pub use pace::Pace;
pub use usage::{OpenAiUsage, Strip};

/// Settings of this stage; all off by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Tokens a second of each stream; 0: off. A caller's own goes before it.
    pub pace: u32,
    /// What a paced stream holds at most, bytes.
    pub pace_buffer: usize,
    /// A pace that follows how well streams run side by side; with `pace` too, the slower of both holds.
    pub adaptive: Option<adaptive::Config>,
    /// Records held for a moment and written as one chunk.
    pub coalesce: Option<coalesce::Config>,
    /// The content records that are held together become one; turns `coalesce` on at its defaults.
    pub merge: bool,
    /// What is done about the usage that OpenAI's clients have to ask for.
    pub openai_usage: OpenAiUsage,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            pace: 0,
            pace_buffer: 256 << 10,
            adaptive: None,
            coalesce: None,
            merge: false,
            openai_usage: OpenAiUsage::Off,
        }
    }
}

impl Config {
    fn coalesce(&self) -> Option<coalesce::Config> {
        self.coalesce.or_else(|| self.merge.then(coalesce::Config::default))
    }
}

/// What is known of a response whose body is to be shaped.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Where its request went.
    pub route: Route,
    /// What its client speaks.
    pub dialect: Dialect,
    /// How its records are set apart, by its content type.
    pub framing: Option<Framing>,
    /// The label of who asked.
    pub caller: &'a str,
    /// The caller's own pace, tokens a second.
    pub pace: Option<u32>,
    /// The upstream's name.
    pub upstream: &'a str,
    /// The usage was asked for by [`Shaping::ask_usage`], and is to be taken out.
    pub strip_usage: bool,
}

/// A body in every layer, each of which may be absent.
pub type Shaped<B> = Merge<Coalesce<Pace<Strip<B>>>>;

/// Frames leave later than they came, or are others. Not where the usage alone is taken out.
#[must_use]
pub fn reshapes<B: Body<Data = Bytes>>(merge: &Shaped<B>) -> bool {
    let coalesce = &merge.inner;
    let pace = &coalesce.inner;
    merge.stage.is_some() || coalesce.stage.is_some() || pace.stage.is_some()
}

/// How a request's body asks for the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskUsage {
    /// Where [`text`](AskUsage::text) is to be put into the body: bytes from its beginning.
    pub at: u64,
    /// What asks.
    pub text: &'static str,
    /// The answer is to be stripped of the usage.
    pub strip: bool,
}

type Read = Arc<dyn Fn() -> Reading + Send + Sync>;

/// Shapes the streams of all callers.
#[derive(Debug)]
pub struct Shaping {
    families: Families,
    /// What is coalesced leaves whole delays after this, whatever stream it is of.
    beat: Instant,
    state: Mutex<State>,
}

struct State {
    config: Config,
    readings: BTreeMap<String, Read>,
    adaptives: BTreeMap<String, Arc<Adaptive>>,
}

impl Shaping {
    /// Shapes by these settings.
    #[must_use]
    pub fn new(families: Families, config: Config) -> Shaping {
        // The one caller that there always is.
        families.pace("anonymous").set(f64::from(config.pace));
        let state = State { config, readings: BTreeMap::new(), adaptives: BTreeMap::new() };
        Shaping { families, beat: Instant::now(), state: Mutex::new(state) }
    }

    /// Streams that begin from now on go by these settings; those that run keep theirs.
    pub fn reload(&self, config: Config) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.config.adaptive != config.adaptive {
            state.adaptives.clear();
        }
        if state.config.pace != config.pace {
            // A caller with a pace of its own shows it again with its next stream.
            self.families.pace_is(config.pace);
        }
        state.config = config;
    }

    /// Forgets callers that are gone.
    pub fn forget(&self, callers: &[String]) {
        self.families.forget(callers);
    }

    /// Lets the streams of an upstream adapt to what `read` tells of it, once a window.
    pub fn adapt(&self, upstream: &str, read: impl Fn() -> Reading + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.adaptives.remove(upstream);
        state.readings.insert(upstream.to_owned(), Arc::new(read));
    }

    /// Wraps a response's body. What is not a stream of a generation passes as it is.
    #[must_use]
    pub fn wrap<B: Body<Data = Bytes>>(&self, stream: &Stream<'_>, body: B) -> Shaped<B> {
        let framing = stream.framing.filter(|framing| *framing != Framing::Json && stream.route.generates());
        let Some(framing) = framing else { return layers(body, Layers::default()) };
        let format = (framing, stream.dialect);
        let (rate, config) = self.state.lock().unwrap_or_else(PoisonError::into_inner).settings(stream);
        let families = &self.families;
        let is_on = [
            stream.strip_usage && framing == Framing::Sse,
            rate.is_set(),
            config.coalesce().is_some(),
            config.merge,
        ];
        let tally = |layer: usize| Tally {
            records_in: (!is_on[..layer].contains(&true)).then(|| families.records_in.clone()),
            records_out: (!is_on[layer + 1..].contains(&true)).then(|| families.records_out.clone()),
        };
        let pacing = || {
            let shown = families.pace(stream.caller);
            Pacing::new(format, rate, config.pace_buffer, families, shown, tally(1))
        };
        let stages = Layers {
            strip: is_on[0].then(|| Stripping::new(families, tally(0))),
            pace: is_on[1].then(pacing),
            coalesce: config
                .coalesce()
                .map(|config| Coalescing::new(format, config, self.beat, families, tally(2))),
            merge: is_on[3].then(|| Merging::new(format, families, tally(3))),
        };
        layers(body, stages)
    }

    /// Whether the usage is asked for on a route, if the client does not ask itself. Then the body must be read whole.
    #[must_use]
    pub fn asks_usage(&self, route: Route) -> bool {
        usage::is_told_on(route) && self.openai_usage() != OpenAiUsage::Off
    }

    /// How a request asks for its usage, if that is set and the client does not ask itself or say no. `peek` is of the
    /// whole body.
    #[must_use]
    pub fn ask_usage(&self, route: Route, peek: &Peek) -> Option<AskUsage> {
        let at = peek.usage_unasked_at.filter(|_| self.asks_usage(route))?;
        Some(AskUsage { at, text: usage::ASK, strip: self.openai_usage() == OpenAiUsage::InjectAndStrip })
    }

    fn openai_usage(&self) -> OpenAiUsage {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).config.openai_usage
    }
}

/// The stages of one stream, innermost first.
#[derive(Default)]
struct Layers {
    strip: Option<Stripping>,
    pace: Option<Pacing>,
    coalesce: Option<Coalescing>,
    merge: Option<Merging>,
}

fn layers<B: Body<Data = Bytes>>(body: B, stages: Layers) -> Shaped<B> {
    let stripped = Strip::new(body, stages.strip);
    Merge::new(Coalesce::new(Pace::new(stripped, stages.pace), stages.coalesce), stages.merge)
}

impl State {
    fn settings(&mut self, stream: &Stream<'_>) -> (Rate, Config) {
        let fixed = stream.pace.or(Some(self.config.pace)).filter(|pace| *pace > 0);
        let adaptive = self.config.adaptive.and_then(|config| self.adaptive(stream.upstream, config));
        (Rate { fixed, adaptive }, self.config.clone())
    }

    /// One for all streams of an upstream; none where nothing tells how they run.
    fn adaptive(&mut self, upstream: &str, config: adaptive::Config) -> Option<Arc<Adaptive>> {
        if let Some(known) = self.adaptives.get(upstream) {
            return Some(known.clone());
        }
        let adaptive = Arc::new(Adaptive::new(config, self.readings.get(upstream)?.clone()));
        self.adaptives.insert(upstream.to_owned(), adaptive.clone());
        Some(adaptive)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("config", &self.config).field("adaptives", &self.adaptives).finish()
    }
}
