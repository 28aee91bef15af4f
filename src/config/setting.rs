//! Every setting, as data. The resolver, `check` and the test of the documentation read this table.

mod definition;
mod log;
mod recording;
mod traces;

use std::{sync::LazyLock, time::Duration};

use super::{
    Config, certificate,
    choice::{choose, name, names},
    field::{Field, Given},
    inline,
    mistake::{Problem, Problems},
    shared, source,
};
use crate::{
    admin::Token, admission::Limits, proxy::UnknownV1, scheduler::FairBy, shaping::OpenAiUsage,
    store::OnFailure, upstream::Policy,
};
pub(super) use definition::Setting;
use definition::{DAY, INSTANT, TIMEOUT, TIMEOUT_OR_NONE, flagged, setting};

/// Every setting, in the order of the documentation. The keys of a section stand together.
pub(super) static SETTINGS: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| {
    [LISTENERS, log::LOG, BEHIND, traces::TRACES, recording::RECORDING].into_iter().flatten().collect()
});

/// The listeners.
static LISTENERS: &[Setting] = &[
    flagged(
        "proxy.listen",
        "--listen",
        Field::Address(|c| &mut c.sidecar.proxy.listen),
        "The address where clients connect. Port 0 picks a free port.",
    ),
    setting(
        "proxy.workers",
        Field::Count(|c| &mut c.workers, 0..=1024),
        "The maximum number of threads that serve clients. One thread serves up to 32 connections, two serve up to 1,024, and each further 512 connections add one. If a thread in use was busy for more than 60 % of the last half second or longer, new connections get one more. 0: the number of available cores.",
    ),
    setting(
        "proxy.tls",
        Field::Other {
            kind: "table",
            show: |c| c.sidecar.proxy.tls.as_ref().and_then(certificate::show),
            set: |c, given| certificate::identity(given).map(|one| c.sidecar.proxy.tls = Some(one)),
        },
        "Serve TLS only, with the certificate chain `cert` and its private key `key`, both PEM files. Unset: plain HTTP.",
    ),
    setting(
        "proxy.max_connections",
        Field::Count(|c| &mut c.sidecar.proxy.max_connections, 1..=1_000_000),
        "The maximum number of client connections. When it is reached, a new connection replaces one that lingers after its last response. If there is none, it replaces the one that has waited longest for a request, if that is at least one second. Otherwise the new connection is refused.",
    ),
    setting(
        "proxy.keep_alive_timeout",
        Field::Duration(|c| &mut c.sidecar.proxy.keep_alive_timeout, TIMEOUT),
        "Close a connection on which no request starts for this long. Set it longer than clients keep idle connections (60 to 90 s for most clients), because a request that is sent while the connection closes fails.",
    ),
    setting(
        "proxy.header_timeout",
        Field::Duration(|c| &mut c.sidecar.proxy.header_timeout, TIMEOUT),
        "Disconnect a client that needs longer than this to send a request head, counted from its first byte.",
    ),
    setting(
        "proxy.body_idle_timeout",
        Field::Duration(|c| &mut c.sidecar.proxy.body_idle_timeout, TIMEOUT),
        "Disconnect a client that sends no part of its request body for this long (408). An upstream that accepts no part of a request for this long has failed (504).",
    ),
    setting(
        "proxy.client_stall_timeout",
        Field::Duration(|c| &mut c.sidecar.proxy.client_stall_timeout, TIMEOUT_OR_NONE),
        "Disconnect a client that reads nothing of a response for this long, if the response holds a slot of an upstream or of its caller's `max_streams`. The slot is then free. With a pace of `shaping`, the client reads what it gets, so the time does not run. 0s: never.",
    ),
    setting(
        "proxy.read_ahead",
        Field::Size(|c| &mut c.sidecar.proxy.read_ahead, 0..=64 << 20),
        "The most that is taken of a response before its client reads it, if the response holds a slot of an upstream or of its caller's `max_streams`. When Ollama has finished, the slot is free, and the client reads the rest from the sidecar. The memory is used only if the client is slow. Beyond it, Ollama waits for the client. 0B: off.",
    ),
    setting(
        "proxy.max_head",
        Field::Size(|c| &mut c.sidecar.proxy.max_head, 8 << 10..=16 << 20),
        "The maximum size of a request head. Request and response heads may have at most 256 fields.",
    ),
    setting(
        "proxy.peek_limit",
        Field::Size(|c| &mut c.sidecar.proxy.peek_limit, 1 << 10..=256 << 20),
        "The part of a JSON request body that is always read ahead to find the model.",
    ),
    setting(
        "proxy.read_ahead_budget",
        Field::Size(|c| &mut c.sidecar.proxy.read_ahead_budget, 0..=1 << 40),
        "Memory, shared by all requests, for reading request bodies beyond `proxy.peek_limit` until the model is found or to ask for the usage. One request uses at most a quarter of it.",
    ),
    setting(
        "proxy.unknown_v1",
        Field::Choice {
            options: names::<UnknownV1>,
            get: |c| name(c.sidecar.proxy.unknown_v1),
            set: |c, word| choose(&mut c.sidecar.proxy.unknown_v1, word),
        },
        "How to treat a POST under `/v1` to an unknown path. `generation`: it takes a slot and every limit applies, as route `v1_other`, so a route that a new Ollama adds does not bypass limits. `other`: it takes no slot, as route `other`.",
    ),
    setting(
        "proxy.response_fields",
        Field::Truth(|c| &mut c.sidecar.proxy.response_fields),
        "Add `x-streamgauge-request-id` and `server-timing` to each response, also to the sidecar's own errors: the id of the request, its wait in the queue in milliseconds, and the upstream, as in `queue;dur=12.500, upstream;desc=\"gpu0\"`. If a web page may read the response, `access-control-expose-headers` lists them. `false`: responses have the fields of Ollama.",
    ),
    setting(
        "proxy.sse_keep_alive",
        Field::Duration(|c| &mut c.sidecar.proxy.sse_keep_alive, TIMEOUT_OR_NONE),
        "If a streaming request under `/v1` has no response of Ollama after this time, send its client status 200 and a keep-alive line, and one more each time it passes, until the response begins. The wait in the queue counts. A later error is then an event in the stream. 0s: off, and an error has its own status.",
    ),
    setting(
        "proxy.drain_timeout",
        Field::Duration(|c| &mut c.sidecar.drain_timeout, TIMEOUT_OR_NONE),
        "How long running streams may continue after SIGTERM or SIGINT.",
    ),
    flagged(
        "admin.listen",
        "--admin",
        Field::Address(|c| &mut c.sidecar.admin.listen),
        "The address where Prometheus and people connect. Port 0 picks a free port.",
    ),
    setting(
        "admin.tls",
        Field::Other {
            kind: "table",
            show: |c| c.sidecar.admin.tls.as_ref().and_then(certificate::show),
            set: |c, given| certificate::identity(given).map(|one| c.sidecar.admin.tls = Some(one)),
        },
        "Like `proxy.tls`, for the admin address.",
    ),
    setting(
        "admin.token_file",
        Field::Other {
            kind: "path",
            show: |c| c.admin_token_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: set_token,
        },
        "A file with the token that clients of the admin address must send, as Bearer token or as Basic password. Surrounding white space is ignored. Unset: no token is required.",
    ),
];

/// The rest of them, from the upstreams on.
static BEHIND: &[Setting] = &[
    setting(
        "upstreams.choose",
        Field::Choice {
            options: names::<Policy>,
            get: |c| name(c.sidecar.upstream.choose),
            set: |c, word| choose(&mut c.sidecar.upstream.choose, word),
        },
        "How to choose among the healthy upstreams that have the model and a free slot. `model-aware`: the one with the soonest expected first token, by measured load times, prefill rates, waits and speeds. `round-robin`: in turn. `least-busy`: the one with the fewest requests for its `weight`.",
    ),
    setting(
        "upstreams.primary",
        Field::Name(|c| &mut c.sidecar.upstream.primary),
        "The name of the upstream that receives pull, push, create, copy, delete, blobs and the group `account`. Unset: the first.",
    ),
    setting(
        "upstreams.health_interval",
        Field::Duration(|c| &mut c.sidecar.upstream.health_interval, Duration::from_millis(100)..=DAY),
        "The time between two health probes of an upstream, and between two DNS lookups of its name.",
    ),
    setting(
        "upstreams.connect_timeout",
        Field::Duration(|c| &mut c.sidecar.upstream.connect_timeout, TIMEOUT),
        "The maximum time to connect to an upstream: DNS lookup, TCP and TLS handshake together.",
    ),
    setting(
        "upstreams.response_timeout",
        Field::Duration(|c| &mut c.sidecar.upstream.response_timeout, TIMEOUT_OR_NONE),
        "The maximum wait for the head of a response, which Ollama sends with the first record: after the load, the queue, the prompt, and all of a tool call or of a response that is not a stream. 0s: no limit.",
    ),
    setting(
        "upstreams.silence_timeout",
        Field::Duration(|c| &mut c.sidecar.upstream.silence_timeout, TIMEOUT_OR_NONE),
        "The maximum time between two chunks of a response, also before a tool call that follows text. 0s: no limit.",
    ),
    setting(
        "queue.size",
        Field::Count(|c| &mut c.sidecar.queue.size, 0..=100_000),
        "The maximum number of requests that wait for a slot, at all upstreams together. When the queue is full, a new request is refused, unless another caller has at least two more requests queued than its own caller: then the newest request of the busiest caller is refused instead. 0: no request waits, and a request that finds no free slot is refused at once.",
    ),
    setting(
        "queue.timeout",
        Field::Duration(|c| &mut c.sidecar.queue.timeout, TIMEOUT),
        "The maximum time that a request waits.",
    ),
    setting(
        "queue.fair_by",
        Field::Choice {
            options: names::<FairBy>,
            get: |c| name(c.sidecar.queue.fair_by),
            set: |c, word| choose(&mut c.sidecar.queue.fair_by, word),
        },
        "`caller`: callers that wait for the same slots share slot time, in proportion to their `weight`. `none`: first come, first served.",
    ),
    setting(
        "queue.priority_aging",
        Field::Duration(|c| &mut c.sidecar.queue.priority_aging, TIMEOUT),
        "If a request has waited this long, the requests of its priority share the slots with the next higher priority until no request has waited so long, so that no priority starves.",
    ),
    setting(
        "access.require_key",
        Field::Truth(|c| &mut c.sidecar.admission.require_key),
        "Refuse requests without a known key. `false`: such requests belong to the caller `anonymous`, and their key field is forwarded to Ollama.",
    ),
    setting(
        "access.keys_file",
        Field::Other {
            kind: "path",
            show: |c| c.keys_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| {
                c.keys_file = Some(given.text("\"/etc/streamgauge/keys.toml\"")?.to_owned());
                Ok(())
            },
        },
        "A file with further keys, which contains only `[[key]]`. The sidecar reads it again when it changes, without SIGHUP. Unset: only the keys of the configuration.",
    ),
    setting(
        "access.keys_store",
        Field::Truth(|c| &mut c.keys_store),
        "Read further keys from the store of `[shared]`, and again when they change there, without SIGHUP. `false`: the store has only the state of limits.",
    ),
    setting(
        "access.routes",
        Field::Other {
            kind: "array of routes and groups",
            show: |c| inline::show_routes(&c.sidecar.admission.routes),
            set: |c, given| inline::routes(given).map(|access| c.sidecar.admission.routes = access),
        },
        "The routes that are open. Unset: all. A list also closes `other` and `v1_other`, unless it names them.",
    ),
    setting(
        "access.origins",
        Field::Other {
            kind: "array of origins",
            show: |c| inline::show_origins(&c.sidecar.admission.origins),
            set: |c, given| inline::origins(given).map(|origins| c.sidecar.admission.origins = origins),
        },
        "Origins whose web pages may read streamgauge's own responses, such as 401, 429 and 502, in addition to Ollama's default origins. Set it to the `OLLAMA_ORIGINS` of the upstreams. Unset: Ollama's defaults only.",
    ),
    setting(
        "access.anonymous",
        Field::Other {
            kind: "table of limits",
            show: show_anonymous,
            set: |c, given| inline::limits(given).map(|limits| c.sidecar.admission.anonymous = limits),
        },
        "The limits of all requests without a key, together: `requests`, `requests_burst`, `tokens`, `tokens_burst`, `max_streams`, `weight`, `priority`, as for a key.",
    ),
    setting(
        "access.caller_header",
        Field::Other {
            kind: "table",
            show: |c| c.sidecar.admission.caller_header.as_ref().map(inline::show_caller_header),
            set: |c, given| {
                inline::caller_header(given).map(|header| c.sidecar.admission.caller_header = Some(header))
            },
        },
        "The header field `name` in which the keys of the list `keys` name their users. Each user is then a caller `KEY/USER` with limits of its own, those of the key. The field is ignored in all other requests. Unset: each key is one caller.",
    ),
    setting(
        "shared.url",
        Field::Other {
            kind: "redis://HOST:PORT, rediss://HOST:PORT, unix:///PATH, or an array of them",
            show: |c| shared::show_servers(&c.shared.servers),
            set: |c, given| shared::servers(given).map(|servers| c.shared.servers = servers),
        },
        "The Redis or Valkey in which several sidecars share the limits of callers. Of several, the first one that answers and accepts writes is used. Unset: each sidecar applies all limits alone.",
    ),
    setting(
        "shared.username",
        Field::Name(|c| &mut c.shared.username),
        "The user (ACL) of the store. Unset: the default user.",
    ),
    setting(
        "shared.password_file",
        Field::Other {
            kind: "path",
            show: |c| c.shared.password_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| shared::password(&mut c.shared, "password_file", given),
        },
        "A file that contains the password of the store. Surrounding white space is ignored.",
    ),
    setting(
        "shared.password_env",
        Field::Other {
            kind: "name",
            show: |c| c.shared.password_env.clone().map(|name| toml::Value::from(name).to_string()),
            set: |c, given| shared::password(&mut c.shared, "password_env", given),
        },
        "The name of an environment variable that contains the password of the store.",
    ),
    setting(
        "shared.ca_file",
        Field::Other {
            kind: "path",
            show: |c| c.shared.ca_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| shared::authorities(&mut c.shared, given),
        },
        "A PEM file with the only certificate authorities that are trusted for a `rediss` URL. Unset: the system's authorities.",
    ),
    setting(
        "shared.database",
        Field::Count(|c| &mut c.shared.database, 0..=65535),
        "The number of the database.",
    ),
    setting(
        "shared.prefix",
        Field::Other {
            kind: "letters, digits, `.` `_` `-` `:`, at most 63",
            show: |c| Some(toml::Value::from(c.shared.prefix.clone()).to_string()),
            set: |c, given| Ok(shared::prefix(given).map(|prefix| c.shared.prefix = prefix)?),
        },
        "The first part of every key in the store. Sidecars with the same prefix share their limits.",
    ),
    setting(
        "shared.deadline",
        Field::Duration(|c| &mut c.shared.deadline, INSTANT..=Duration::from_secs(1)),
        "The maximum time that a request waits for the store. Then `shared.on_failure` decides it. After three such requests in a row, no request waits until the store answers in time again.",
    ),
    setting(
        "shared.on_failure",
        Field::Choice {
            options: names::<OnFailure>,
            get: |c| name(c.shared.on_failure),
            set: |c, word| choose(&mut c.shared.on_failure, word),
        },
        "How requests are decided while the store does not answer. `local`: by each sidecar alone, with the limits divided by the number of sidecars. `open`: all are admitted, and `max_streams` applies to each sidecar alone. `closed`: all get 503.",
    ),
    setting(
        "shaping.pace",
        Field::Other {
            kind: "0 to 100000",
            show: |c| Some(c.sidecar.shaping.pace.to_string()),
            set: |c, given| {
                let pace = given.count(&(0..=100_000))?;
                c.sidecar.shaping.pace = u32::try_from(pace).unwrap_or(u32::MAX);
                Ok(())
            },
        },
        "The pace of each stream, in tokens/s. 0: off.",
    ),
    setting(
        "shaping.pace_buffer",
        Field::Size(|c| &mut c.sidecar.shaping.pace_buffer, 4 << 10..=64 << 20),
        "How much of a paced stream is buffered while Ollama is faster than the pace. When the buffer is full, Ollama has to wait.",
    ),
    setting(
        "shaping.adaptive",
        Field::Other {
            kind: "table",
            show: |c| c.sidecar.shaping.adaptive.as_ref().map(inline::show_adaptive),
            set: |c, given| inline::adaptive(given).map(|config| c.sidecar.shaping.adaptive = Some(config)),
        },
        "A pace that adapts to how well the streams of an upstream run concurrently. Unset: off.",
    ),
    setting(
        "shaping.coalesce",
        Field::Other {
            kind: "table",
            show: |c| c.sidecar.shaping.coalesce.as_ref().map(inline::show_coalesce),
            set: |c, given| inline::coalesce(given).map(|config| c.sidecar.shaping.coalesce = Some(config)),
        },
        "Collect records for a short time and write them as one chunk. Unset: off.",
    ),
    setting(
        "shaping.merge",
        Field::Truth(|c| &mut c.sidecar.shaping.merge),
        "Merge the content records that are collected into one. Turns `shaping.coalesce` on with 50ms and 1KiB.",
    ),
    setting(
        "shaping.openai_usage",
        Field::Choice {
            options: names::<OpenAiUsage>,
            get: |c| name(c.sidecar.shaping.openai_usage),
            set: |c, word| choose(&mut c.sidecar.shaping.openai_usage, word),
        },
        "`inject`: ask for `include_usage` if an OpenAI client does not. `inject-and-strip`: also remove the usage from the response.",
    ),
    setting(
        "metrics.model_limit",
        Field::Count(|c| &mut c.sidecar.meter.model_limit, 0..=1000),
        "The maximum number of models with their own label. If more models are used, the least recently used model loses its label. Models without a label are `other`.",
    ),
    setting(
        "metrics.openmetrics",
        Field::Truth(|c| &mut c.sidecar.admin.openmetrics),
        "Answer in OpenMetrics, with exemplars, to a scraper that asks for it. Prometheus asks for it by itself.",
    ),
    setting(
        "metrics.native_histograms",
        Field::Truth(|c| &mut c.sidecar.meter.native_histograms),
        "Answer with native histograms of `phase_seconds`, `chunk_gap_seconds` and `time_to_first_token_seconds` to a scraper that asks for protobuf. Prometheus does so with `scrape_native_histograms`.",
    ),
    setting(
        "collectors.gpu",
        Field::Interval(|c| &mut c.sidecar.collectors.gpu, Duration::from_millis(50)..=DAY),
        "The interval between two readings of the GPUs through NVML. Without a GPU, the collector tries again every 10 s.",
    ),
    setting(
        "collectors.models",
        Field::Interval(|c| &mut c.sidecar.collectors.models, Duration::from_millis(100)..=DAY),
        "The interval between two updates of the models in memory, which `upstreams.health_interval` reads from Ollama.",
    ),
    setting(
        "collectors.runtime",
        Field::Interval(|c| &mut c.sidecar.collectors.runtime, Duration::from_millis(100)..=DAY),
        "The interval between two readings of the runtimes. `off` also removes the metrics of tasks.",
    ),
    setting(
        "collectors.lag",
        Field::Interval(|c| &mut c.sidecar.collectors.lag, INSTANT..=DAY),
        "The interval between two probes of each runtime's lag. It is at least 100 ms for an idle runtime, and 1 s after half a minute.",
    ),
    setting(
        "collectors.process",
        Field::Interval(|c| &mut c.sidecar.collectors.process, Duration::from_millis(100)..=DAY),
        "The interval between two readings of this process: CPU, memory, file descriptors.",
    ),
];

/// Reads the token from a file. The errors never repeat it.
fn set_token(config: &mut Config, given: Given<'_>) -> Result<(), Problems> {
    let path = given.text("\"/run/secrets/admin\"")?;
    let token = source::secret_file(path)?;
    match token.trim() {
        "" => {
            return Err(
                Problem::new(format!("{path:?} contains no token"), "write the token into the file").into()
            );
        }
        token => config.sidecar.admin.token = Some(Token::of(token.as_bytes())),
    }
    config.admin_token_file = Some(path.to_owned());
    Ok(())
}

/// The limits of anonymous callers as an inline table; `None` if there are none.
fn show_anonymous(config: &Config) -> Option<String> {
    let limits = &config.sidecar.admission.anonymous;
    let shown: Vec<_> =
        inline::show_limits(limits).iter().map(|(leaf, value)| format!("{leaf} = {value}")).collect();
    (*limits != Limits::default()).then(|| format!("{{ {} }}", shown.join(", ")))
}

/// The setting with this key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().copied().find(|setting| setting.key == key)
}

/// The sections, in order.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(|setting| setting.section()).collect();
    sections.dedup();
    sections
}

/// The settings of a section, in order.
pub(super) fn leaves(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().copied().filter(move |setting| setting.section() == section)
}
