//! The directions as tables. docs/explanation/architecture.md explains them.
//!
//! Cargo enforces the directions between packages: a package names only what its Cargo.toml names. These tables
//! hold the rest: the directions between the modules of one package, and the modules that may name an external
//! crate.

/// Names, and for each name a list of names.
pub(super) type Table = &'static [(&'static str, &'static [&'static str])];

/// A package of the workspace.
pub(super) struct Package {
    /// Its name, as Rust writes it.
    pub(super) name: &'static str,
    /// Its folder, from the top level.
    pub(super) folder: &'static str,
    /// A module, and the other modules that it may name. The row of an inner module replaces that of the outer one.
    /// If the table is empty, the modules of the package may name each other.
    pub(super) layers: Table,
    /// A crate, and the modules that may name it. A crate without a row may be named anywhere.
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
                    "admission",
                    "sidecar",
                    "analysis",
                    "collector",
                    "config",
                    "experiment",
                    "meter",
                    "metric",
                    "protocol",
                    "recording",
                    "report",
                    "request_log",
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
                    "sidecar",
                    "protocol",
                    "proxy",
                    "request_log",
                    "scheduler",
                    "shaping",
                    "store",
                    "tls",
                    "traces",
                    "upstream",
                ],
            ),
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
                    "recording",
                    "request_log",
                    "scheduler",
                    "shaping",
                    "store",
                    "tls",
                    "traces",
                    "upstream",
                ],
            ),
            (
                "proxy",
                &[
                    "admission",
                    "connection",
                    "meter",
                    "metric",
                    "protocol",
                    "recording",
                    "request_log",
                    "scheduler",
                    "shaping",
                    "tls",
                    "traces",
                    "upstream",
                ],
            ),
            (
                "admin",
                &[
                    "collector",
                    "connection",
                    "meter",
                    "metric",
                    "protocol",
                    "recording",
                    "store",
                    "tls",
                    "upstream",
                ],
            ),
            ("connection", &[]),
            ("admission", &["metric", "protocol", "scheduler", "store"]),
            ("upstream", &["protocol", "scheduler", "tls"]),
            ("recording", &["meter", "metric"]),
            ("request_log", &["meter", "metric", "protocol"]),
            ("scheduler", &["metric"]),
            ("store", &["metric", "tls"]),
            ("tls", &[]),
            ("traces", &["meter", "metric", "protocol", "tls"]),
        ],
        crates: &[
            // The other packages are modules of this one, so the table above covers them.
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
            ("notify", &["cli::keys_file"]),
            (
                "prometheus",
                &[
                    "admin",
                    "admission",
                    "sidecar",
                    "cli",
                    "proxy",
                    "recording",
                    "request_log",
                    "scheduler",
                    "store",
                    "traces",
                ],
            ),
            ("ratatui", &["cli::top"]),
            ("redis", &["store"]),
            // For TLS, only the client settings of the others.
            ("opentelemetry", &["traces"]),
            ("opentelemetry_proto", &["traces"]),
            ("opentelemetry_sdk", &["traces"]),
            ("prost", &["admin::protobuf", "traces"]),
            ("reqwest", &["cli", "tls", "traces::delivery", "upstream::prober"]),
            ("rolling_file", &["cli::serve::request_file"]),
            ("sd_notify", &["cli"]),
            (
                "tokio",
                &[
                    "admin",
                    "admission",
                    "sidecar",
                    "cli",
                    "connection",
                    "main",
                    "proxy",
                    "recording",
                    "request_log",
                    "scheduler",
                    "store",
                    "tls",
                    "traces",
                    "upstream",
                ],
            ),
            ("tokio_metrics", &["proxy"]),
            ("toml", &["config"]),
            // An embedding program chooses the subscriber of the log.
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
pub(super) const CIRCLES: &[(&str, &str, &str)] = &[];

/// Names that do not say what a module contains.
pub(super) const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["common", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

/// The modules that read the wall clock, with reasons. The wall clock can jump, so limits, timeouts and
/// measurements use a monotonic clock.
pub(super) const WALL_CLOCK: [(&str, &str); 15] = [
    ("streamgauge::admin::history", "when the history began, as people write it"),
    ("streamgauge::admin::requests", "when a request ended, as people write it"),
    ("streamgauge::cli::experiment::conduct", "the name of a folder"),
    ("streamgauge::cli::record", "when a recording began"),
    ("streamgauge::cli::recording_folder", "when a part of a recording began"),
    ("streamgauge::proxy::respond", "the field Date"),
    ("streamgauge::request_log", "when a request ended, as people write it"),
    ("streamgauge::sidecar::reload", "the metric of that name"),
    ("streamgauge::sidecar::surroundings", "Ollama lists the expiry of a model as a date"),
    ("streamgauge::traces::finished", "when a request ended, as OTLP counts"),
    ("streamgauge_meter::meter::recording", "the time of an exemplar"),
    ("streamgauge_collector::models", "Ollama says by it when a model expires"),
    ("streamgauge_collector::process", "its test"),
    ("streamgauge_simulate::stamp", "the field created_at"),
    ("streamgauge_lab::experiment::runner", "when a recording began"),
];
