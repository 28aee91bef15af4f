//! Why a model was loaded.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::protocol::{KeepAlive, LoadOptions};

/// The time by which Ollama's clock, and the time at which it unloads a model, may differ.
const SLACK: Duration = Duration::from_secs(1);

/// Why a model was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadCause {
    /// The sidecar had not seen it in memory at this upstream.
    First,
    /// It was in memory with another context length.
    Context,
    /// It was in memory with other options, such as `num_gpu`.
    Options,
    /// It had left the memory before its time, after another model was loaded.
    Evicted,
    /// Its `keep_alive` had passed, or a request had unloaded it.
    Expired,
    /// Ollama or the process that runs the model was restarted: nothing else explains the load.
    Restart,
}

impl LoadCause {
    /// Every cause, in the order of `LoadCause::index`.
    pub const ALL: [LoadCause; 6] = [
        LoadCause::First,
        LoadCause::Context,
        LoadCause::Options,
        LoadCause::Evicted,
        LoadCause::Expired,
        LoadCause::Restart,
    ];

    /// Returns the value of the label `cause`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            LoadCause::First => "first",
            LoadCause::Context => "context",
            LoadCause::Options => "options",
            LoadCause::Evicted => "evicted",
            LoadCause::Expired => "expired",
            LoadCause::Restart => "restart",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The load options of a request, and its caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) options: LoadOptions,
    pub(super) caller: Option<Arc<str>>,
}

impl Order {
    /// Returns the first option that differs from that of an earlier order, with both values.
    pub(super) fn differs(&self, earlier: &Order) -> Option<(LoadCause, Difference)> {
        let (now, before) = (self.options, earlier.options);
        if now.num_ctx != before.num_ctx {
            let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
            let (before, now) = (signed(before.num_ctx), signed(now.num_ctx));
            return Some((LoadCause::Context, Difference { option: "num_ctx", before, now }));
        }
        let (option, before, now) = before.difference(&now)?;
        Some((LoadCause::Options, Difference { option, before, now }))
    }
}

/// An option with two values. `None`: the request left it to Ollama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the option.
    pub option: &'static str,
    /// The value of the earlier request.
    pub before: Option<i64>,
    /// The value of the request that loaded the model.
    pub now: Option<i64>,
}

/// A load of a model, as a request reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelLoad {
    /// Why the model was loaded.
    pub cause: LoadCause,
    /// The caller whose request loaded it, if it is known.
    pub caller: Option<Arc<str>>,
    /// The caller of the earlier request: for the same model with other options, for the model that evicted it, or
    /// the one whose `keep_alive` passed.
    pub earlier_caller: Option<Arc<str>>,
    /// The `keep_alive` that passed, if the earlier request set one.
    pub expired_after: Option<Duration>,
    /// The option that differs between both requests.
    pub difference: Option<Difference>,
    /// The label of the model that evicted it.
    pub evicted_by: Option<String>,
}

/// A model in memory, as its upstream listed it or as an answer showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// The time at which Ollama unloads it unless it is used. `None`: never, or not known.
    pub(super) expires: Option<Instant>,
}

/// A change of options from one request to another, which loads the model again if it is in memory.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) at: Instant,
    pub(super) from: Arc<Order>,
    pub(super) to: Arc<Order>,
}

/// A request that has ended, whose `keep_alive` determines when its model leaves the memory.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) ended: Instant,
    pub(super) order: Arc<Order>,
}

impl Kept {
    /// Returns the time for which the request lets the model stay in memory, if it set one.
    pub(super) fn time(&self) -> Option<Duration> {
        match self.order.options.keep_alive? {
            KeepAlive::For(time) => Some(time),
            KeepAlive::Forever => None,
        }
    }
}

/// Another model that was loaded at the same upstream.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) at: Instant,
    pub(super) label: String,
    pub(super) caller: Option<Arc<str>>,
}

/// The facts about a model at the time of a load.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// The time at which the request that loaded the model was sent.
    pub(super) now: Instant,
    /// The last time at which it was known to be in memory.
    pub(super) seen: Option<Seen>,
    /// Whether the list of models in memory was read since, without it.
    pub(super) is_absent: bool,
    /// The time at which the upstream last did not answer.
    pub(super) lost: Option<Instant>,
    /// Whether the model came back with another context length.
    pub(super) has_other_context: bool,
    pub(super) turn: Option<&'a Turn>,
    pub(super) pushed: Option<&'a Pushed>,
    /// The newest request that ended before the model was last idle.
    pub(super) kept: Option<&'a Kept>,
}

impl Circumstances<'_> {
    /// Returns the cause, and the option that differs.
    pub(super) fn cause(&self) -> (LoadCause, Option<Difference>) {
        let Some(seen) = self.seen else { return (LoadCause::First, None) };
        if self.lost.is_some_and(|lost| lost > seen.at) {
            return (LoadCause::Restart, None);
        }
        // A model whose time is over is not in memory, whatever the options are.
        if self.has_expired(seen) {
            return (LoadCause::Expired, None);
        }
        if !self.is_absent {
            if let Some(turn) = self.turn
                && let Some((cause, difference)) = turn.to.differs(&turn.from)
            {
                return (cause, Some(difference));
            }
            if self.has_other_context {
                return (LoadCause::Context, None);
            }
        }
        if self.pushed.is_some_and(|pushed| pushed.at > seen.at) {
            return (LoadCause::Evicted, None);
        }
        (LoadCause::Restart, None)
    }

    fn has_expired(&self, seen: Seen) -> bool {
        let ends = match self.kept.and_then(|kept| Some((kept.ended, kept.order.options.keep_alive?))) {
            Some((_, KeepAlive::Forever)) => None,
            Some((ended, KeepAlive::For(time))) => ended.checked_add(time),
            None => seen.expires,
        };
        // A model that was seen after its time was loaded again since.
        ends.is_some_and(|ends| seen.at <= ends + SLACK && ends <= self.now + SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Peek;

    const SECOND: Duration = Duration::from_secs(1);

    fn order(caller: &str, body: &str) -> Arc<Order> {
        Arc::new(Order { options: Peek::read(body.as_bytes()).load, caller: Some(caller.into()) })
    }

    fn at(began: Instant) -> Circumstances<'static> {
        Circumstances {
            now: began + 100 * SECOND,
            seen: Some(Seen { at: began + 90 * SECOND, expires: Some(began + 400 * SECOND) }),
            is_absent: false,
            lost: None,
            has_other_context: false,
            turn: None,
            pushed: None,
            kept: None,
        }
    }

    #[test]
    fn load_of_model_that_was_never_seen_is_first() {
        let began = Instant::now();
        let unseen = Circumstances { seen: None, lost: Some(began + 95 * SECOND), ..at(began) };
        assert_eq!(unseen.cause(), (LoadCause::First, None));
    }

    #[test]
    fn load_after_change_of_options_names_the_option() {
        let began = Instant::now();
        let plain = order("alice", "{}");
        let large = order("bob", r#"{"options":{"num_ctx":8192}}"#);
        let cpu = order("bob", r#"{"options":{"num_gpu":0}}"#);
        let change = |to: &Arc<Order>, is_absent| {
            let turn = Turn { at: began, from: plain.clone(), to: to.clone() };
            Circumstances { turn: Some(&turn), is_absent, ..at(began) }.cause()
        };
        let differs = |option, now| Some(Difference { option, before: None, now: Some(now) });
        assert_eq!(change(&large, false), (LoadCause::Context, differs("num_ctx", 8_192)));
        assert_eq!(change(&cpu, false), (LoadCause::Options, differs("num_gpu", 0)));
        assert_eq!(change(&large, true), (LoadCause::Restart, None), "it was not in memory");
        let seen = Circumstances { has_other_context: true, ..at(began) };
        assert_eq!(seen.cause(), (LoadCause::Context, None), "a client beside the sidecar");
    }

    #[test]
    fn load_of_absent_model_is_expired_evicted_or_restart() {
        let began = Instant::now();
        let absent = || Circumstances { is_absent: true, ..at(began) };
        let pushed = |seconds| Pushed { at: began + seconds * SECOND, label: "b:1".into(), caller: None };
        assert_eq!(absent().cause().0, LoadCause::Restart);
        let (before, since) = (pushed(80), pushed(95));
        assert_eq!(Circumstances { pushed: Some(&before), ..absent() }.cause().0, LoadCause::Restart);
        assert_eq!(Circumstances { pushed: Some(&since), ..absent() }.cause().0, LoadCause::Evicted);
        let past = Some(Seen { at: began + 90 * SECOND, expires: Some(began + 99 * SECOND) });
        let both = Circumstances { seen: past, pushed: Some(&since), ..absent() };
        assert_eq!(both.cause().0, LoadCause::Expired, "its time was over anyway");
        let kept = |body| Kept { ended: began + 90 * SECOND, order: order("alice", body) };
        let (zero, forever) = (kept(r#"{"keep_alive":0}"#), kept(r#"{"keep_alive":-1}"#));
        let unloads = Circumstances { kept: Some(&zero), ..absent() };
        assert_eq!(unloads.cause().0, LoadCause::Expired);
        let seen = Some(Seen { at: began + 95 * SECOND, expires: None });
        let since = Circumstances { seen, kept: Some(&zero), ..absent() };
        assert_eq!(since.cause().0, LoadCause::Restart, "it was loaded again since");
        let stays = Circumstances { seen: past, kept: Some(&forever), ..absent() };
        assert_eq!(stays.cause().0, LoadCause::Restart);
        assert_eq!(Circumstances { lost: Some(began + 95 * SECOND), ..both }.cause().0, LoadCause::Restart);
    }
}
