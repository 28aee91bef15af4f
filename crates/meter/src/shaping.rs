//! How a stream is delivered: its pace, its pieces, and the fields that are removed.
//!
//! Each layer wraps an [`http_body::Body`] and runs when the body is polled. There is no task and no channel. A layer
//! that is off costs one branch per frame.

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
use families::RecordTally;
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

/// Settings of this stage. By default everything is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Tokens per second of each stream. 0: off. A caller's own pace takes precedence.
    pub pace: u32,
    /// The maximum number of bytes that a paced stream holds.
    pub pace_buffer: usize,
    /// A pace that adapts to how well streams run concurrently. If `pace` is set too, the slower of both applies.
    pub adaptive: Option<adaptive::Config>,
    /// Holds records for a short time, and writes them as one chunk.
    pub coalesce: Option<coalesce::Config>,
    /// Merges the content records that are held together into one. It turns `coalesce` on with its defaults.
    pub merge: bool,
    /// How to treat the usage, which Ollama sends to OpenAI's clients only on request.
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

/// The properties of a response whose body is to be shaped.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The route of its request.
    pub route: Route,
    /// The dialect of its client.
    pub dialect: Dialect,
    /// How its records are separated, by its content type.
    pub framing: Option<Framing>,
    /// The label of the caller.
    pub caller: &'a str,
    /// The caller's own pace, tokens per second.
    pub pace: Option<u32>,
    /// The upstream's name.
    pub upstream: &'a str,
    /// Whether [`Shaping::ask_usage`] added the request for the usage, so that it is removed from the response.
    pub strip_usage: bool,
}

/// A body with every layer. Each layer may be off.
pub type Shaped<B> = Merge<Coalesce<Pace<Strip<B>>>>;

/// Whether frames are delayed or changed. The removal of the usage alone does not count.
#[must_use]
pub fn reshapes<B: Body<Data = Bytes>>(merge: &Shaped<B>) -> bool {
    let coalesce = &merge.inner;
    let pace = &coalesce.inner;
    merge.shapes() || coalesce.shapes() || pace.shapes()
}

/// How the body of a request asks for the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskUsage {
    /// The position at which [`text`](AskUsage::text) is inserted, in bytes from the beginning of the body.
    pub at: u64,
    /// The text that asks for the usage.
    pub text: &'static str,
    /// Whether the usage is removed from the response.
    pub strip: bool,
}

type Read = Arc<dyn Fn() -> Reading + Send + Sync>;

/// Shapes the streams of all callers.
#[derive(Debug)]
pub struct Shaping {
    families: Families,
    /// Coalesced chunks are sent at whole multiples of the delay after this time, for every stream.
    beat: Instant,
    state: Mutex<ShapingState>,
}

struct ShapingState {
    config: Config,
    readings: BTreeMap<String, Read>,
    adaptives: BTreeMap<String, Arc<Adaptive>>,
}

impl Shaping {
    /// Creates a shaper with these settings.
    #[must_use]
    pub fn new(families: Families, config: Config) -> Shaping {
        // The caller `anonymous` always exists.
        families.pace("anonymous").set(f64::from(config.pace));
        let state = ShapingState { config, readings: BTreeMap::new(), adaptives: BTreeMap::new() };
        Shaping { families, beat: Instant::now(), state: Mutex::new(state) }
    }

    /// Changes the settings for streams that begin from now on. Running streams keep theirs.
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

    /// Removes the series of callers that no longer exist.
    pub fn forget(&self, callers: &[String]) {
        self.families.forget(callers);
    }

    /// Lets the pace of an upstream's streams adapt to the values that `read` returns, once per window.
    pub fn adapt(&self, upstream: &str, read: impl Fn() -> Reading + Send + Sync + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.adaptives.remove(upstream);
        state.readings.insert(upstream.to_owned(), Arc::new(read));
    }

    /// Wraps a response's body. A response that is not a streamed generation passes unchanged.
    #[must_use]
    pub fn wrap<B: Body<Data = Bytes>>(&self, stream: &Stream<'_>, body: B) -> Shaped<B> {
        let framing = stream.framing.filter(|framing| *framing != Framing::Json && stream.route.generates());
        let Some(framing) = framing else { return layers(body, Layers::default()) };
        let format = (framing, stream.dialect);
        let (rate, config) = self.state.lock().unwrap_or_else(PoisonError::into_inner).settings(stream);
        let families = &self.families;
        let (strips, paces) = (stream.strip_usage && framing == Framing::Sse, rate.is_set());
        let (coalesces, merges) = (config.coalesce().is_some(), config.merge);
        // The first layer counts the records that enter, and the last one those that leave.
        let tally = |is_first: bool, is_last: bool| RecordTally {
            records_in: is_first.then(|| families.records_in.clone()),
            records_out: is_last.then(|| families.records_out.clone()),
        };
        let pacing = || {
            let shown = families.pace(stream.caller);
            Pacing::new(
                format,
                rate,
                config.pace_buffer,
                families,
                shown,
                tally(!strips, !coalesces && !merges),
            )
        };
        let stages = Layers {
            strip: strips.then(|| Stripping::new(families, tally(true, !paces && !coalesces && !merges))),
            pace: paces.then(pacing),
            coalesce: config.coalesce().map(|config| {
                Coalescing::new(format, config, self.beat, families, tally(!strips && !paces, !merges))
            }),
            merge: merges
                .then(|| Merging::new(format, families, tally(!strips && !paces && !coalesces, true))),
        };
        layers(body, stages)
    }

    /// Whether the sidecar asks for the usage on a route if the client does not. The body must then be read
    /// completely.
    #[must_use]
    pub fn asks_usage(&self, route: Route) -> bool {
        usage::is_told_on(route) && self.openai_usage() != OpenAiUsage::Off
    }

    /// Returns how a request asks for its usage, if that is configured and the client neither asks for it nor
    /// declines it. `peek` covers the whole body.
    #[must_use]
    pub fn ask_usage(&self, route: Route, peek: &Peek) -> Option<AskUsage> {
        let at = peek.usage_unasked_at.filter(|_| self.asks_usage(route))?;
        Some(AskUsage { at, text: usage::ASK, strip: self.openai_usage() == OpenAiUsage::InjectAndStrip })
    }

    fn openai_usage(&self) -> OpenAiUsage {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).config.openai_usage
    }
}

/// The stages of one stream, from the inside out.
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

impl ShapingState {
    fn settings(&mut self, stream: &Stream<'_>) -> (Rate, Config) {
        let fixed = stream.pace.or(Some(self.config.pace)).filter(|pace| *pace > 0);
        let adaptive = self.config.adaptive.and_then(|config| self.adaptive(stream.upstream, config));
        (Rate { fixed, adaptive }, self.config.clone())
    }

    /// Returns the adaptive pace that all streams of an upstream share. `None`: no values are available for the
    /// upstream.
    fn adaptive(&mut self, upstream: &str, config: adaptive::Config) -> Option<Arc<Adaptive>> {
        if let Some(known) = self.adaptives.get(upstream) {
            return Some(known.clone());
        }
        let adaptive = Arc::new(Adaptive::new(config, self.readings.get(upstream)?.clone()));
        self.adaptives.insert(upstream.to_owned(), adaptive.clone());
        Some(adaptive)
    }
}

impl fmt::Debug for ShapingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("config", &self.config).field("adaptives", &self.adaptives).finish()
    }
}
