//! Every setting, as data: the resolver, `check` and the test of the documentation read this one table.

use std::{ops::RangeInclusive, time::Duration};

use tracing::Level;

use super::{
    Config, LogFormat, certificate,
    field::{Field, Given},
    inline,
    mistake::Problem,
    source,
};
use crate::{
    admin::Token,
    admission::Limits,
    proxy::UnknownV1,
    shaping::OpenAiUsage,
    upstream::{Policy, queue::FairBy},
};

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// `section.leaf`, as in the file.
    pub(super) key: &'static str,
    /// The flag that sets it.
    pub(super) flag: Option<&'static str>,
    /// Its kind, its range, its place.
    pub(super) field: Field,
    /// What it means.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation's test compares it"))]
    pub(super) doc: &'static str,
}

impl Setting {
    pub(super) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    pub(super) fn leaf(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, leaf)| leaf)
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.to_ascii_uppercase().replace('.', "__"))
    }
}

pub(super) const VARIABLE_PREFIX: &str = "STREAMGAUGE_";

const DAY: Duration = Duration::from_secs(24 * 3600);
const INSTANT: Duration = Duration::from_millis(1);
const TIMEOUT: RangeInclusive<Duration> = INSTANT..=DAY;
const TIMEOUT_OR_NONE: RangeInclusive<Duration> = Duration::ZERO..=DAY;

const fn setting(key: &'static str, field: Field, doc: &'static str) -> Setting {
    Setting { key, flag: None, field, doc }
}

const fn flagged(key: &'static str, flag: &'static str, field: Field, doc: &'static str) -> Setting {
    Setting { key, flag: Some(flag), field, doc }
}

/// In the order of the documentation; keys of a section stand together.
pub(super) static SETTINGS: &[Setting] = &[
    flagged(
        "proxy.listen",
        "--listen",
        Field::Address(|c| &mut c.agent.proxy.listen),
        "Where clients connect. Port 0 takes a free one.",
    ),
    setting(
        "proxy.workers",
        Field::Count(|c| &mut c.workers, 0..=1024),
        "Threads that serve clients, at most: one up to 32 connections, two up to 1,024, one more for each 512 beyond, and all alike beyond. 0: as many as cores may be used.",
    ),
    setting(
        "proxy.tls",
        Field::Other {
            kind: "table",
            show: |c| c.agent.proxy.tls.as_ref().and_then(certificate::show),
            set: |c, given| certificate::identity(given).map(|one| c.agent.proxy.tls = Some(one)),
        },
        "TLS alone is served, with the chain of certificates `cert` and its private `key`, two files in PEM. Unset: plain HTTP.",
    ),
    setting(
        "proxy.max_connections",
        Field::Count(|c| &mut c.agent.proxy.max_connections, 1..=1_000_000),
        "Client connections at once. When more come, those that linger after their last answer give way, then those that have waited longest for a request, after a second; where none does, the new ones are turned away.",
    ),
    setting(
        "proxy.keep_alive_timeout",
        Field::Duration(|c| &mut c.agent.proxy.keep_alive_timeout, TIMEOUT),
        "A connection on which no request begins for this long is closed. Keep it above the time for which clients keep idle connections (60 to 90 s in most of them): a request that meets the end of its connection fails.",
    ),
    setting(
        "proxy.header_timeout",
        Field::Duration(|c| &mut c.agent.proxy.header_timeout, TIMEOUT),
        "A client that takes longer than this from the first byte of a request head to the last is cut off.",
    ),
    setting(
        "proxy.body_idle_timeout",
        Field::Duration(|c| &mut c.agent.proxy.body_idle_timeout, TIMEOUT),
        "A client that stops sending its body for this long is cut off, and an upstream that takes nothing of a request for this long has failed: 408 and 504.",
    ),
    setting(
        "proxy.max_head",
        Field::Size(|c| &mut c.agent.proxy.max_head, 8 << 10..=16 << 20),
        "The longest request head. It may have 256 header fields, as may the head of a response.",
    ),
    setting(
        "proxy.peek_limit",
        Field::Size(|c| &mut c.agent.proxy.peek_limit, 1 << 10..=256 << 20),
        "The beginning of a JSON body that is read ahead in any case, to learn its model.",
    ),
    setting(
        "proxy.read_ahead_budget",
        Field::Size(|c| &mut c.agent.proxy.read_ahead_budget, 0..=1 << 40),
        "Memory for reading on beyond `proxy.peek_limit`, shared by all requests, where the model has not been seen yet or the usage is to be asked for. One request takes a quarter of it at most.",
    ),
    setting(
        "proxy.unknown_v1",
        Field::Choice {
            options: names::<UnknownV1>,
            get: |c| name(c.agent.proxy.unknown_v1),
            set: |c, word| choose(&mut c.agent.proxy.unknown_v1, word),
        },
        "A POST under `/v1` whose path is no route that is known. `generation`: it takes a slot and obeys every limit, as the route `v1_other`, so that a route which Ollama adds does not bypass them. `other`: it takes no slot, as the route `other`.",
    ),
    setting(
        "proxy.drain_timeout",
        Field::Duration(|c| &mut c.agent.drain_timeout, TIMEOUT_OR_NONE),
        "How long running streams may take to end after SIGTERM or SIGINT.",
    ),
    flagged(
        "admin.listen",
        "--admin",
        Field::Address(|c| &mut c.agent.admin.listen),
        "Where Prometheus and people connect. Port 0 takes a free one.",
    ),
    setting(
        "admin.tls",
        Field::Other {
            kind: "table",
            show: |c| c.agent.admin.tls.as_ref().and_then(certificate::show),
            set: |c, given| certificate::identity(given).map(|one| c.agent.admin.tls = Some(one)),
        },
        "As `proxy.tls`, for this address.",
    ),
    setting(
        "admin.token_file",
        Field::Other {
            kind: "path",
            show: |c| c.admin_token_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: set_token,
        },
        "A file that holds the token to read with, as Bearer or as the password of Basic; white space around it is left out. Unset: everybody may.",
    ),
    flagged(
        "log.format",
        "--log-format",
        Field::Choice {
            options: names::<LogFormat>,
            get: |c| name(c.log.format),
            set: |c, word| choose(&mut c.log.format, word),
        },
        "Lines for people, or a JSON object a line.",
    ),
    flagged(
        "log.level",
        "-v, -q",
        Field::Choice {
            options: names::<Level>,
            get: |c| name(c.log.level),
            set: |c, word| choose(&mut c.log.level, word),
        },
        "The least severe that is written; `debug` has a line for each finished request.",
    ),
    setting(
        "upstreams.choose",
        Field::Choice {
            options: names::<Policy>,
            get: |c| name(c.agent.upstream.choose),
            set: |c, word| choose(&mut c.agent.upstream.choose, word),
        },
        "How one is chosen among the healthy ones that have the model.",
    ),
    setting(
        "upstreams.primary",
        Field::Name(|c| &mut c.agent.upstream.primary),
        "The name of the one that pull, push, create, copy, delete, blobs and the group `account` go to. Unset: the first.",
    ),
    setting(
        "upstreams.health_interval",
        Field::Duration(|c| &mut c.agent.upstream.health_interval, Duration::from_millis(100)..=DAY),
        "Time between two health probes of an upstream, and between two looks at where its name leads.",
    ),
    setting(
        "upstreams.connect_timeout",
        Field::Duration(|c| &mut c.agent.upstream.connect_timeout, TIMEOUT),
        "Longest wait for a connection to an upstream: for its name, for TCP and for the TLS handshake, all together.",
    ),
    setting(
        "upstreams.response_timeout",
        Field::Duration(|c| &mut c.agent.upstream.response_timeout, TIMEOUT_OR_NONE),
        "Longest wait for a response's head. 0s: no limit, since a model may load for minutes.",
    ),
    setting(
        "upstreams.silence_timeout",
        Field::Duration(|c| &mut c.agent.upstream.silence_timeout, TIMEOUT_OR_NONE),
        "Longest silence between two chunks of a response. 0s: no limit.",
    ),
    setting(
        "queue.size",
        Field::Count(|c| &mut c.agent.queue.size, 0..=100_000),
        "How many may wait for one upstream. Of a full queue, the newest of the caller who has the most there makes room for one who has fewer. 0: none waits, and who finds no place is refused at once.",
    ),
    setting(
        "queue.timeout",
        Field::Duration(|c| &mut c.agent.queue.timeout, TIMEOUT),
        "How long one may wait.",
    ),
    setting(
        "queue.fair_by",
        Field::Choice {
            options: names::<FairBy>,
            get: |c| name(c.agent.queue.fair_by),
            set: |c, word| choose(&mut c.agent.queue.fair_by, word),
        },
        "`caller`: callers take turns; `none`: who came first goes first.",
    ),
    setting(
        "access.require_key",
        Field::Truth(|c| &mut c.agent.admission.require_key),
        "Refuse who has no key that is known. `false`: they are the caller `anonymous`, and their field goes on to Ollama.",
    ),
    setting(
        "access.routes",
        Field::Other {
            kind: "array of routes and groups",
            show: |c| inline::show_routes(&c.agent.admission.routes),
            set: |c, given| inline::routes(given).map(|access| c.agent.admission.routes = access),
        },
        "The routes that are open. Unset: all; a list closes `other` and `v1_other` too.",
    ),
    setting(
        "access.origins",
        Field::Other {
            kind: "array of origins",
            show: |c| inline::show_origins(&c.agent.admission.origins),
            set: |c, given| inline::origins(given).map(|origins| c.agent.admission.origins = origins),
        },
        "Web pages that may read streamgauge's own responses, such as 401, 429 and 502, beside those that Ollama accepts by default. Set it to what the upstreams have as `OLLAMA_ORIGINS`. Unset: Ollama's defaults alone.",
    ),
    setting(
        "access.anonymous",
        Field::Other {
            kind: "table of limits",
            show: show_anonymous,
            set: |c, given| inline::limits(given).map(|limits| c.agent.admission.anonymous = limits),
        },
        "The limits of all who have no key, together: `requests`, `requests_burst`, `tokens`, `tokens_burst`, `max_streams` as of a key.",
    ),
    setting(
        "shaping.pace",
        Field::Other {
            kind: "0 to 100000",
            show: |c| Some(c.agent.shaping.pace.to_string()),
            set: |c, given| {
                let pace = given.count(&(0..=100_000))?;
                c.agent.shaping.pace = u32::try_from(pace).unwrap_or(u32::MAX);
                Ok(())
            },
        },
        "Tokens a second of each stream. 0: off.",
    ),
    setting(
        "shaping.pace_buffer",
        Field::Size(|c| &mut c.agent.shaping.pace_buffer, 4 << 10..=64 << 20),
        "What a paced stream may hold while Ollama is faster; full, Ollama is made to wait.",
    ),
    setting(
        "shaping.adaptive",
        Field::Other {
            kind: "table",
            show: |c| c.agent.shaping.adaptive.as_ref().map(inline::show_adaptive),
            set: |c, given| inline::adaptive(given).map(|config| c.agent.shaping.adaptive = Some(config)),
        },
        "A pace that follows how well the streams of an upstream run side by side. Unset: off.",
    ),
    setting(
        "shaping.coalesce",
        Field::Other {
            kind: "table",
            show: |c| c.agent.shaping.coalesce.as_ref().map(inline::show_coalesce),
            set: |c, given| inline::coalesce(given).map(|config| c.agent.shaping.coalesce = Some(config)),
        },
        "Records held for a moment and written as one chunk. Unset: off.",
    ),
    setting(
        "shaping.merge",
        Field::Truth(|c| &mut c.agent.shaping.merge),
        "Make the content records that are held together one; turns `shaping.coalesce` on at 50ms and 1KiB.",
    ),
    setting(
        "shaping.openai_usage",
        Field::Choice {
            options: names::<OpenAiUsage>,
            get: |c| name(c.agent.shaping.openai_usage),
            set: |c, word| choose(&mut c.agent.shaping.openai_usage, word),
        },
        "Ask for `include_usage` where an OpenAI client does not; `inject-and-strip` takes it out of the answer again.",
    ),
    setting(
        "metrics.model_limit",
        Field::Count(|c| &mut c.agent.meter.model_limit, 0..=1000),
        "How many models have a label of their own; the least recently used gives way, and the rest are `other`.",
    ),
    setting(
        "collectors.gpu",
        Field::Interval(|c| &mut c.agent.collectors.gpu, Duration::from_millis(50)..=DAY),
        "Time between two readings of the GPUs (NVML); a machine without one costs an attempt every 10 s.",
    ),
    setting(
        "collectors.models",
        Field::Interval(|c| &mut c.agent.collectors.models, Duration::from_millis(100)..=DAY),
        "Time between two looks at the models in memory, as `upstreams.health_interval` keeps them.",
    ),
    setting(
        "collectors.runtime",
        Field::Interval(|c| &mut c.agent.collectors.runtime, Duration::from_millis(100)..=DAY),
        "Time between two readings of the runtimes; off takes the metrics of tasks away too.",
    ),
    setting(
        "collectors.lag",
        Field::Interval(|c| &mut c.agent.collectors.lag, INSTANT..=DAY),
        "Time between two probes of how late each runtime wakes; of one that is idle, at least 100 ms, and 1 s once it has been for half a minute.",
    ),
    setting(
        "collectors.process",
        Field::Interval(|c| &mut c.agent.collectors.process, Duration::from_millis(100)..=DAY),
        "Time between two readings of this process: CPU, memory, descriptors.",
    ),
];

/// Reads the token that a file holds. What it says never repeats it.
fn set_token(config: &mut Config, given: Given<'_>) -> Result<(), Problem> {
    let path = given.text("\"/run/secrets/admin\"")?;
    let token = source::secret_file(path)?;
    match token.trim() {
        "" => return Err(Problem::new(format!("{path:?} holds no token"), "put the token into it")),
        token => config.agent.admin.token = Some(Token::of(token.as_bytes())),
    }
    config.admin_token_file = Some(path.to_owned());
    Ok(())
}

/// The limits of who has no key, as an inline table; `None` without any.
fn show_anonymous(config: &Config) -> Option<String> {
    let limits = &config.agent.admission.anonymous;
    let shown: Vec<_> =
        inline::show_limits(limits).iter().map(|(leaf, value)| format!("{leaf} = {value}")).collect();
    (*limits != Limits::default()).then(|| format!("{{ {} }}", shown.join(", ")))
}

/// A type that is written as one word of several.
trait Choice: Copy + PartialEq + 'static {
    const OPTIONS: &'static [(&'static str, Self)];
}

impl Choice for LogFormat {
    const OPTIONS: &'static [(&'static str, Self)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

impl Choice for Level {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
}

impl Choice for UnknownV1 {
    const OPTIONS: &'static [(&'static str, Self)] =
        &[("generation", UnknownV1::Generation), ("other", UnknownV1::Other)];
}

impl Choice for Policy {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("round-robin", Policy::RoundRobin),
        ("least-busy", Policy::LeastBusy),
        ("model-aware", Policy::ModelAware),
    ];
}

impl Choice for FairBy {
    const OPTIONS: &'static [(&'static str, Self)] = &[("caller", FairBy::Caller), ("none", FairBy::None)];
}

impl Choice for OpenAiUsage {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("off", OpenAiUsage::Off),
        ("inject", OpenAiUsage::Inject),
        ("inject-and-strip", OpenAiUsage::InjectAndStrip),
    ];
}

fn names<T: Choice>() -> Vec<&'static str> {
    T::OPTIONS.iter().map(|(name, _)| *name).collect()
}

fn name<T: Choice>(value: T) -> &'static str {
    T::OPTIONS
        .iter()
        .find(|(_, option)| *option == value)
        .map(|(name, _)| *name)
        .expect("every value has a name")
}

/// A word that is none of the options changes nothing; [`Field::set`] lets none through.
fn choose<T: Choice>(place: &mut T, word: &str) {
    if let Some((_, option)) = T::OPTIONS.iter().find(|(name, _)| *name == word) {
        *place = *option;
    }
}

/// The setting of that key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The sections, in order.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(Setting::section).collect();
    sections.dedup();
    sections
}

/// The leaves of a section, in order.
pub(super) fn leaves(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.section() == section)
}
