//! The scripts, their arguments and their answers.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use redis::Cmd;

use super::policy::{Rate, Shares};

/// A script, without the answer of the store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Admit,
    Settle,
}

/// The script that tries the rights of the user.
pub(super) const RIGHTS: &str = include_str!("script/rights.lua");

impl Script {
    /// Its text.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Script::Admit => concat!(include_str!("script/common.lua"), include_str!("script/admit.lua")),
            Script::Settle => concat!(include_str!("script/common.lua"), include_str!("script/settle.lua")),
        }
    }

    /// The value of the label `call`.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Script::Admit => "admit",
            Script::Settle => "settle",
        }
    }
}

/// The names of the keys. All of them carry one hash tag, so that one node of a cluster has all of them.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    sidecar: String,
}

impl Names {
    pub(super) fn new(prefix: &str, sidecar: String) -> Names {
        Names { prefix: format!("{{{prefix}}}"), sidecar }
    }

    fn sidecars(&self) -> String {
        format!("{}:sidecars", self.prefix)
    }

    fn batch(&self) -> String {
        format!("{}:batch:{}", self.prefix, self.sidecar)
    }

    /// The channel on which the names of callers with free leases are published.
    pub(super) fn channel(&self) -> String {
        format!("{}:freed", self.prefix)
    }

    /// The key on which the rights of the user are tried.
    pub(super) fn trial(&self) -> String {
        format!("{}:trial", self.prefix)
    }

    /// The key of the text with keys of callers, and the channel on which its changes are announced.
    pub(super) fn keys(&self) -> String {
        format!("{}:keys", self.prefix)
    }

    /// The keys of a caller: its rates and its leases.
    fn of_caller(&self, caller: &str) -> [String; 2] {
        [format!("{}:rates:{caller}", self.prefix), format!("{}:leases:{caller}", self.prefix)]
    }
}

/// The time in which a lease and the record of a sidecar expire, in microseconds.
pub(super) const LIFE: u64 = 10_000_000;
/// The time for which a batch is remembered, in seconds.
const REMEMBERED: u32 = 3600;
/// The most tokens that one entry of a batch charges, so that the script's numbers stay exact.
pub(super) const MOST_TOKENS: u64 = 1_000_000;

/// A call for one caller's requests.
#[derive(Debug)]
pub(super) struct AdmitCall<'a> {
    pub(super) caller: &'a str,
    /// `g` for each request that generates, otherwise `p`.
    pub(super) requests: String,
    pub(super) shares: Shares,
    pub(super) held: usize,
    pub(super) wanted: usize,
}

/// The answer to an [`AdmitCall`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// `a`, `r` or `t` for each request.
    pub(super) answers: String,
    /// How far the states of requests and of tokens lie ahead of now, in microseconds.
    pub(super) ahead: [Option<u64>; 2],
    pub(super) taken: usize,
    pub(super) goal: Option<usize>,
    /// Another sidecar has another rate for the caller.
    pub(super) differs: bool,
}

impl AdmitCall<'_> {
    /// The part of the command after the script.
    pub(super) fn write(&self, names: &Names, command: &mut Cmd) {
        command.arg(2).arg(&names.of_caller(self.caller)[..]);
        command.arg(&names.sidecar).arg(LIFE).arg(names.channel()).arg(self.caller).arg(&self.requests);
        write_rate(self.shares.requests, command);
        write_rate(self.shares.tokens, command);
        write_most(self.shares.max_streams, command);
        command.arg(self.held).arg(self.wanted);
    }
}

impl Admitted {
    pub(super) fn read(value: &redis::Value) -> Option<Admitted> {
        let (answers, requests, tokens, taken, goal, differs): (String, i64, i64, i64, i64, i64) =
            redis::from_redis_value_ref(value).ok()?;
        Some(Admitted {
            answers,
            ahead: [u64::try_from(requests).ok(), u64::try_from(tokens).ok()],
            taken: usize::try_from(taken).ok()?,
            goal: usize::try_from(goal).ok(),
            differs: differs != 0,
        })
    }
}

/// One caller of a [`SettleCall`].
#[derive(Clone, Debug)]
pub(super) struct SettleEntry {
    pub(super) caller: String,
    /// Tokens to charge; -1 gives one back.
    pub(super) charge: i64,
    pub(super) tokens: Option<Rate>,
    /// The limit of streams, the leases held, and the leases wanted. `None`: leases stay as they are.
    pub(super) leases: Option<(usize, usize, usize)>,
}

/// The answer for one [`SettleEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// How far the state of the tokens lies ahead of now, in microseconds.
    pub(super) ahead: Option<u64>,
    pub(super) taken: usize,
    pub(super) goal: Option<usize>,
    /// The key of the rates holds a value of another program, so that nothing was charged.
    pub(super) is_uncharged: bool,
    /// One of the keys does.
    pub(super) is_foreign: bool,
}

/// Writes a call that settles. `batch` is 0 if it charges nothing.
pub(super) fn write_settle(entries: &[SettleEntry], batch: u64, names: &Names, command: &mut Cmd) {
    command.arg(2 + 2 * entries.len()).arg(names.sidecars()).arg(names.batch());
    for entry in entries {
        command.arg(&names.of_caller(&entry.caller)[..]);
    }
    command.arg(&names.sidecar).arg(LIFE).arg(names.channel()).arg(batch).arg(REMEMBERED);
    for entry in entries {
        command.arg(&entry.caller).arg(entry.charge);
        write_rate(entry.tokens, command);
        write_most(entry.leases.map(|(most, ..)| most), command);
        let (_, held, wanted) = entry.leases.unwrap_or_default();
        command.arg(held).arg(wanted);
    }
}

/// The number of sidecars, and the answer for each entry.
pub(super) fn read_settle(value: &redis::Value) -> Option<(u32, Vec<Settled>)> {
    let numbers: Vec<i64> = redis::from_redis_value_ref(value).ok()?;
    let (sidecars, rest) = (numbers.first()?, numbers.get(2..)?);
    let of_entry = |numbers: &[i64]| {
        let &[ahead, taken, goal] = numbers else { return None };
        Some(Settled {
            ahead: u64::try_from(ahead).ok(),
            taken: usize::try_from(taken.max(0)).ok()?,
            goal: usize::try_from(goal).ok(),
            is_uncharged: ahead == -2,
            is_foreign: ahead == -2 || taken == -1,
        })
    };
    Some((u32::try_from(*sidecars).ok()?, rest.chunks(3).map(of_entry).collect::<Option<_>>()?))
}

fn write_rate(rate: Option<Rate>, command: &mut Cmd) {
    match rate {
        Some(rate) => {
            let ((whole, rest), (limit, part)) = (rate.each(), rate.limit());
            command.arg(rate.text()).arg(rate.count).arg(whole).arg(rest).arg(limit).arg(part);
        }
        None => {
            command.arg(&[""; 6][..]);
        }
    }
}

fn write_most(most: Option<usize>, command: &mut Cmd) {
    match most {
        Some(most) => command.arg(most),
        None => command.arg(""),
    };
}
