//! The directions, as tables. Prose and reasons: docs/explanation/architecture.md.
//!
//! Cargo holds the directions between packages: a package names what its Cargo.toml names. These tables hold the rest:
//! the directions between the modules of one package, and the modules that may name a crate of others.

/// Names, and for each name a list of names.
pub(super) type Table = &'static [(&'static str, &'static [&'static str])];

/// A package of the workspace.
pub(super) struct Package {
    /// Its name, as Rust writes it.
    pub(super) name: &'static str,
    /// Its folder, from the top level.
    pub(super) folder: &'static str,
    /// A module, and the modules that it may name beside itself. A module inside another replaces the outer row. If the
    /// table is empty, the modules of the package may name each other.
    pub(super) layers: Table,
    /// A crate, and the modules that may name it. Each module may name a crate that is not here.
    pub(super) crates: Table,
}

pub(super) const PACKAGES: &[Package] = &[
    Package {
        name: "streamgauge",
        folder: ".",
        layers: &[
            ("main", &["cli", "config"]),
            (
                "cli",
                &[
                    "admin",
                    "sidecar",
                    "analysis",
                    "collector",
                    "config",
                    "experiment",
                    "metric",
                    "protocol",
                    "report",
                    "simulate",
                    "tls",
                    "upstream",
                ],
            ),
            ("config", &["admin", "admission", "sidecar", "protocol", "proxy", "shaping", "tls", "upstream"]),
            (
                "sidecar",
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
            (
                "proxy",
                &["admission", "connection", "meter", "metric", "protocol", "shaping", "tls", "upstream"],
            ),
            ("admin", &["collector", "connection", "meter", "metric", "protocol", "tls", "upstream"]),
            ("connection", &[]),
            ("admission", &["metric", "protocol"]),
            ("upstream", &["metric", "protocol", "tls"]),
            ("tls", &[]),
        ],
        crates: &[
            // The other packages are modules of this one, for the table above to hold.
            ("streamgauge_collector", &[""]),
            ("streamgauge_lab", &[""]),
            ("streamgauge_meter", &[""]),
            ("streamgauge_simulate", &[""]),
            ("streamgauge_tls", &["tls"]),
            ("anyhow", &["cli"]),
            ("clap", &["cli", "main"]),
            ("flate2", &["admin::coding"]),
            ("governor", &["admission"]),
            ("hyper", &["admin", "proxy", "upstream::answer", "upstream::client"]),
            ("hyper_util", &["admin", "proxy", "upstream::client", "upstream::link", "upstream::pool"]),
            ("listenfd", &["cli"]),
            ("prometheus", &["admin", "admission", "sidecar", "cli", "proxy", "upstream"]),
            ("ratatui", &["cli::top"]),
            // Of TLS, the settings of the others' clients.
            ("reqwest", &["cli", "tls", "upstream::prober"]),
            ("sd_notify", &["cli"]),
            (
                "tokio",
                &["admin", "admission", "sidecar", "cli", "connection", "main", "proxy", "tls", "upstream"],
            ),
            ("tokio_metrics", &["proxy"]),
            ("toml", &["config"]),
            // An embedder chooses the log's end.
            ("tracing_subscriber", &["main"]),
        ],
    },
    Package {
        name: "streamgauge_meter",
        folder: "crates/meter",
        layers: &[
            ("meter", &["metric", "protocol"]),
            ("shaping", &["metric", "protocol"]),
            ("metric", &[]),
            ("protocol", &[]),
        ],
        crates: &[
            ("brotli_decompressor", &["protocol::coding"]),
            ("flate2", &["protocol::coding"]),
            ("prometheus", &["meter", "metric", "shaping"]),
            ("zstd", &["protocol::coding"]),
        ],
    },
    Package {
        name: "streamgauge_collector",
        folder: "crates/collector",
        layers: &[],
        crates: &[("nvml_wrapper", &["gpu::nvml"])],
    },
    Package { name: "streamgauge_simulate", folder: "crates/simulate", layers: &[], crates: &[] },
    Package { name: "streamgauge_tls", folder: "crates/tls", layers: &[], crates: &[] },
    Package {
        name: "streamgauge_lab",
        folder: "crates/lab",
        layers: &[("report", &["analysis", "experiment"]), ("experiment", &["analysis"]), ("analysis", &[])],
        crates: &[
            ("comfy_table", &["report::text"]),
            ("csv", &["experiment::recording"]),
            ("maud", &["report::html"]),
            ("plotters", &["report::plot"]),
            ("reqwest", &["experiment"]),
            ("tokenizers", &["experiment::tokenizer::rust"]),
            ("tokio", &["experiment"]),
            ("toml", &["experiment"]),
        ],
    },
];

/// The circles that remain: the package, the files, and the reason.
pub(super) const CIRCLES: &[(&str, &str, &str)] = &[(
    "streamgauge",
    "upstream::queue upstream::queue::line",
    "a line hands out the places of the queue, and a place that is dropped returns to the lines",
)];

/// Names under which anything could be put.
pub(super) const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["common", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

/// The modules that read the wall clock, and their reasons. That clock jumps: limits, time-outs and measurements use one
/// that does not.
pub(super) const WALL_CLOCK: [(&str, &str); 8] = [
    ("streamgauge::admin::history", "when the history began, as people write it"),
    ("streamgauge::cli::experiment::conduct", "the name of a folder"),
    ("streamgauge::proxy::respond", "the field Date"),
    ("streamgauge::sidecar::reload", "the metric of that name"),
    ("streamgauge_collector::models", "Ollama says by it when a model expires"),
    ("streamgauge_collector::process", "its test"),
    ("streamgauge_simulate::stamp", "the field created_at"),
    ("streamgauge_lab::experiment::runner", "when a recording began"),
];
