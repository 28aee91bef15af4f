//! The directions, as tables. Prose and reasons: docs/architecture.md.

/// A place in the crate, and what it may name beside itself. A place inside another replaces the outer row.
pub(super) const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli", "config"]),
    (
        "cli",
        &[
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
            "upstream",
        ],
    ),
    (
        "config",
        &["admin", "admission", "agent", "collector", "meter", "protocol", "proxy", "shaping", "upstream"],
    ),
    (
        "agent",
        &["admin", "admission", "collector", "meter", "metric", "protocol", "proxy", "shaping", "upstream"],
    ),
    ("proxy", &["admission", "meter", "metric", "protocol", "shaping", "upstream"]),
    ("admin", &["collector", "meter", "metric", "upstream"]),
    ("admission", &["metric", "protocol"]),
    ("upstream", &["metric", "protocol"]),
    ("meter", &["metric", "protocol"]),
    ("shaping", &["metric", "protocol"]),
    ("collector", &["metric"]),
    ("collector::models", &["metric", "upstream"]),
    ("report", &["analysis", "experiment"]),
    ("experiment", &["analysis", "collector", "protocol"]),
    // Agents are tried on an Ollama.
    ("experiment::agent::tests", &["analysis", "collector", "protocol", "simulate"]),
    ("analysis", &[]),
    ("protocol", &[]),
    ("metric", &[]),
    // The simulator says what Ollama says without asking how we read it: so it can find us wrong.
    ("simulate", &[]),
];

/// A crate, and the places that may name it. A crate that is not here may be named anywhere.
pub(super) const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("comfy_table", &["report::text"]),
    ("csv", &["experiment::recording"]),
    ("maud", &["report::html"]),
    ("plotters", &["report::plot"]),
    ("clap", &["cli", "main"]),
    ("governor", &["admission", "shaping"]),
    ("hyper", &["admin", "proxy", "simulate", "upstream::answer", "upstream::client", "upstream::link"]),
    ("hyper_util", &["admin", "proxy", "simulate", "upstream::client", "upstream::link", "upstream::pool"]),
    ("listenfd", &["cli"]),
    // An embedder chooses these two.
    ("mimalloc", &["main"]),
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
    ("reqwest", &["cli", "experiment", "upstream::health"]),
    ("sd_notify", &["cli"]),
    (
        "tokio",
        &[
            "admin",
            "admission",
            "agent",
            "cli",
            "collector",
            "experiment",
            "main",
            "proxy",
            "shaping",
            "simulate",
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
