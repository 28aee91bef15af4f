//! The directions, as tables. Prose and reasons: docs/explanation/architecture.md.

/// A place in the crate, and what it may name beside itself. A place inside another replaces the outer row.
pub(super) const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli", "config"]),
    (
        "cli",
        &[
            "admin",
            "agent",
            "analysis",
            "collector",
            "config",
            "experiment",
            "meter",
            "metric",
            "protocol",
            "report",
            "simulate",
            "tls",
            "upstream",
        ],
    ),
    (
        "config",
        &[
            "admin",
            "admission",
            "agent",
            "collector",
            "meter",
            "protocol",
            "proxy",
            "shaping",
            "tls",
            "upstream",
        ],
    ),
    (
        "agent",
        &[
            "admin",
            "admission",
            "collector",
            "meter",
            "metric",
            "protocol",
            "proxy",
            "shaping",
            "tls",
            "upstream",
        ],
    ),
    ("proxy", &["admission", "connection", "meter", "metric", "protocol", "shaping", "tls", "upstream"]),
    ("admin", &["collector", "connection", "meter", "metric", "protocol", "tls", "upstream"]),
    ("connection", &[]),
    ("admission", &["metric", "protocol"]),
    ("upstream", &["metric", "protocol", "tls"]),
    ("tls", &[]),
    ("meter", &["metric", "protocol"]),
    ("shaping", &["metric", "protocol"]),
    ("collector", &["metric"]),
    ("collector::models", &["metric", "upstream"]),
    ("report", &["analysis", "experiment"]),
    ("experiment", &["analysis", "collector", "protocol", "tls"]),
    // Agents are tried on an Ollama.
    ("experiment::agent::tests", &["analysis", "collector", "protocol", "simulate", "tls"]),
    ("analysis", &[]),
    ("protocol", &[]),
    ("metric", &[]),
    // The simulator says what Ollama says without asking how we read it: so it can find us wrong.
    ("simulate", &[]),
];

/// A crate, and the places that may name it. A crate that is not here may be named anywhere.
pub(super) const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("brotli_decompressor", &["protocol::coding"]),
    ("comfy_table", &["report::text"]),
    ("ratatui", &["cli::top"]),
    ("csv", &["experiment::recording"]),
    ("maud", &["report::html"]),
    ("plotters", &["report::plot"]),
    ("clap", &["cli", "main"]),
    ("flate2", &["admin::coding", "protocol::coding"]),
    ("governor", &["admission", "shaping"]),
    ("hyper", &["admin", "proxy", "simulate", "upstream::answer", "upstream::client", "upstream::link"]),
    ("hyper_util", &["admin", "proxy", "simulate", "upstream::client", "upstream::link", "upstream::pool"]),
    ("listenfd", &["cli"]),
    // An embedder chooses these two.
    ("tracing_subscriber", &["main"]),
    ("nvml_wrapper", &["collector::gpu::nvml"]),
    (
        "prometheus",
        &[
            "admin",
            "admission",
            "agent",
            "cli",
            "collector",
            "meter",
            "metric",
            "proxy",
            "shaping",
            "upstream",
        ],
    ),
    // Of TLS, what it sets of the others' clients.
    ("reqwest", &["cli", "experiment", "tls", "upstream::health"]),
    ("rustls", &["tls"]),
    ("rustls_platform_verifier", &["tls"]),
    ("tokio_rustls", &["tls"]),
    ("sd_notify", &["cli"]),
    (
        "tokio",
        &[
            "admin",
            "admission",
            "agent",
            "cli",
            "collector",
            "connection",
            "experiment",
            "main",
            "proxy",
            "shaping",
            "simulate",
            "tls",
            "upstream",
        ],
    ),
    ("tokio_metrics", &["collector", "proxy"]),
    ("tokenizers", &["experiment::tokenizer::rust"]),
    ("toml", &["config", "experiment"]),
];

/// Names under which anything could be put.
pub(super) const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["common", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

/// Who asks what time it is, and for what. That clock jumps: limits, time-outs and what is measured are by one that
/// does not.
pub(super) const WALL_CLOCK: [(&str, &str); 8] = [
    ("admin::history", "when the history began, as people write it"),
    ("agent::reload", "the metric of that name"),
    ("cli::experiment::conduct", "the name of a folder"),
    ("collector::models", "Ollama says by it when a model expires"),
    ("collector::process", "its test"),
    ("experiment::runner", "when a recording began"),
    ("proxy::respond", "the field Date"),
    ("simulate::stamp", "the field created_at"),
];
