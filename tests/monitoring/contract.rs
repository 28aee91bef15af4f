//! Every metric with its kind and its labels.

use std::collections::BTreeSet;

use super::page::text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter as C, Gauge as G, Histogram as H};

/// The name without `streamgauge_`, the kind and the labels.
pub(crate) type Metric = (&'static str, Kind, &'static [&'static str]);

/// The histograms that `metrics.native_histograms` makes native. Their series have no suffix then.
pub(crate) const NATIVE: [&str; 3] = ["phase_seconds", "chunk_gap_seconds", "time_to_first_token_seconds"];

pub(crate) const METRICS: &[Metric] = &[
    // Requests and streams.
    ("requests_total", C, &["upstream", "route", "model", "outcome"]),
    ("left_before_first_token_total", C, &["upstream", "model"]),
    ("responses_total", C, &["route", "code"]),
    ("finish_total", C, &["route", "model", "reason"]),
    ("request_duration_seconds", H, &["route", "model"]),
    ("requests_in_flight", G, &["upstream", "route"]),
    ("time_to_first_token_seconds", H, &["route", "model"]),
    ("chunk_gap_seconds", H, &["model", "at"]),
    ("gaps_held_total", C, &["model"]),
    ("origin_gaps_invalid_total", C, &["upstream"]),
    ("chunk_bytes", H, &["model"]),
    ("record_scan_seconds", H, &[]),
    ("records_total", C, &["model", "kind"]),
    ("records_unscanned_total", C, &["reason"]),
    ("tokens_total", C, &["model", "kind"]),
    ("prompt_evaluated_tokens_total", C, &["model"]),
    ("prompt_evaluated_seconds_total", C, &["model"]),
    ("prompt_truncation_suspected_total", C, &["model"]),
    ("context_fill_ratio", H, &["model"]),
    ("output_tokens_per_second", H, &["model", "by"]),
    ("phase_seconds", H, &["model", "phase"]),
    ("usage_missing_total", C, &["route"]),
    ("usage_understated_total", C, &["route"]),
    ("client_backpressure_seconds_total", C, &["model"]),
    ("self_overhead_seconds", H, &[]),
    ("silence_ratio", G, &["upstream"]),
    ("silent_seconds", G, &["upstream"]),
    ("waiting_seconds", G, &["upstream"]),
    // Concurrency and efficiency.
    ("stream_seconds_total", C, &["upstream"]),
    ("busy_seconds_total", C, &["upstream"]),
    ("concurrency_seconds_total", C, &["upstream", "streams"]),
    ("concurrency_stream_seconds_total", C, &["upstream", "streams"]),
    ("concurrency_tokens_total", C, &["upstream", "model", "streams"]),
    // The runtime.
    ("runtime_workers", G, &["runtime"]),
    ("runtime_live_tasks", G, &["runtime"]),
    ("runtime_global_queue_depth", G, &["runtime"]),
    ("runtime_worker_busy_seconds_total", C, &["runtime", "worker"]),
    ("runtime_worker_parks_total", C, &["runtime", "worker"]),
    ("runtime_lag_seconds", H, &["runtime"]),
    ("runtime_poll_seconds", H, &["runtime"]),
    ("runtime_schedule_latency_seconds", H, &["runtime"]),
    ("runtime_steals_total", C, &["runtime"]),
    ("runtime_local_queue_depth", G, &["runtime", "worker"]),
    ("runtime_blocking_threads", G, &["runtime"]),
    ("runtime_blocking_queue_depth", G, &["runtime"]),
    ("runtime_forced_yields_total", C, &["runtime"]),
    ("runtime_io_ready_total", C, &["runtime"]),
    ("runtime_unstable_metrics", G, &[]),
    ("task_polls_total", C, &["task"]),
    ("task_poll_seconds_total", C, &["task"]),
    ("task_scheduled_seconds_total", C, &["task"]),
    // The GPU.
    ("gpu_info", G, &["gpu", "uuid", "name", "driver"]),
    ("gpu_utilization_ratio", G, &["gpu"]),
    ("gpu_memory_utilization_ratio", G, &["gpu"]),
    ("gpu_memory_used_bytes", G, &["gpu"]),
    ("gpu_memory_free_bytes", G, &["gpu"]),
    ("gpu_memory_total_bytes", G, &["gpu"]),
    ("gpu_power_watts", G, &["gpu"]),
    ("gpu_power_limit_watts", G, &["gpu"]),
    ("gpu_temperature_celsius", G, &["gpu"]),
    ("gpu_clock_hertz", G, &["gpu", "domain"]),
    ("gpu_clock_limit", G, &["gpu", "reason"]),
    ("gpu_pcie_link_generation", G, &["gpu", "state"]),
    ("gpu_pcie_link_width", G, &["gpu", "state"]),
    ("gpu_pcie_max_bytes_per_second", G, &["gpu"]),
    ("gpu_process_memory_bytes", G, &["gpu", "process"]),
    ("gpu_energy_joules_total", C, &["gpu", "source"]),
    ("gpu_pcie_bytes_total", C, &["gpu", "direction", "source"]),
    ("gpu_pcie_replays_total", C, &["gpu"]),
    ("gpu_ecc_errors_total", C, &["gpu", "kind", "counter"]),
    ("gpu_retired_pages", G, &["gpu", "cause"]),
    ("gpu_remapped_rows", G, &["gpu", "cause"]),
    ("gpu_memory_repair", G, &["gpu", "state"]),
    ("gpu_xid_errors_total", C, &["gpu", "xid"]),
    ("gpu_busy_seconds_total", C, &["gpu"]),
    ("gpu_utilization_sample_ratio", H, &["gpu"]),
    ("gpu_power_sample_watts", H, &["gpu"]),
    // Models.
    ("model_loaded", G, &["upstream", "model"]),
    ("model_size_bytes", G, &["upstream", "model"]),
    ("model_vram_bytes", G, &["upstream", "model"]),
    ("model_context_length", G, &["upstream", "model"]),
    ("model_expires_seconds", G, &["upstream", "model"]),
    ("model_loads_total", C, &["upstream", "model", "cause"]),
    ("model_labels_dropped_total", C, &[]),
    // Admission and shaping.
    ("admission_total", C, &["decision", "reason"]),
    ("shared_mode", G, &["mode"]),
    ("shared_decisions_total", C, &["source"]),
    ("shared_call_seconds", H, &["call"]),
    ("shared_failures_total", C, &["reason"]),
    ("shared_charges_lost_total", C, &[]),
    ("shared_sidecars", G, &[]),
    ("trace_spans_exported_total", C, &[]),
    ("trace_spans_dropped_total", C, &["reason"]),
    ("trace_spans_queued", G, &[]),
    ("trace_export_failures_total", C, &["reason"]),
    ("queue_depth", G, &["priority"]),
    ("stream_limit", G, &["upstream"]),
    ("stream_limit_reason", G, &["upstream", "reason"]),
    ("stream_limit_probe_seconds_total", C, &["upstream"]),
    ("slots", G, &["upstream", "state"]),
    ("dispatches_total", C, &["upstream", "reason"]),
    ("requests_running", G, &[]),
    ("requests_waiting", G, &[]),
    ("queue_wait_seconds", H, &["priority"]),
    ("caller_requests_total", C, &["caller", "outcome"]),
    ("caller_tokens_total", C, &["caller", "kind"]),
    ("caller_first_tokens_total", C, &["caller"]),
    ("caller_first_token_seconds_total", C, &["caller"]),
    ("caller_backpressure_seconds_total", C, &["caller"]),
    ("caller_limit_per_second", G, &["caller", "kind"]),
    ("shaping_delay_seconds_total", C, &["kind"]),
    ("shaping_records_in_total", C, &[]),
    ("shaping_records_out_total", C, &[]),
    ("shaping_buffer_bytes", G, &[]),
    ("pace_tokens_per_second", G, &["caller"]),
    // The sidecar itself.
    ("build_info", G, &["version", "rustc"]),
    ("collector_up", G, &["collector"]),
    ("collector_seconds", G, &["collector"]),
    ("upstream_up", G, &["upstream"]),
    ("upstream_wedged_total", C, &["upstream"]),
    ("upstream_retries_total", C, &["upstream", "reason"]),
    ("connections_open", G, &["listener"]),
    ("connections_refused_total", C, &["listener", "reason"]),
    ("connections_vanished_total", C, &["listener"]),
    ("admin_requests_refused_total", C, &["reason"]),
    ("requests_malformed_total", C, &["reason"]),
    ("read_ahead_bytes", G, &[]),
    ("response_read_ahead_bytes", G, &[]),
    ("read_ahead_stopped_total", C, &["reason"]),
    ("request_log_lines_total", C, &["result"]),
    ("recording_streams_total", C, &["result"]),
    ("recording_chunks_dropped_total", C, &[]),
    ("recording_bytes", G, &[]),
    ("recording_parts_removed_total", C, &[]),
    ("panics_total", C, &[]),
    ("config_last_reload_success", G, &[]),
    ("config_last_reload_timestamp_seconds", G, &[]),
    ("keys_last_reload_success", G, &[]),
    ("keys_last_reload_timestamp_seconds", G, &[]),
];

/// Series that Prometheus or its client libraries name.
const FOREIGN: &[(&str, Kind, &[&str])] = &[
    ("up", G, &[]),
    (
        "ALERTS",
        G,
        &["alertname", "alertstate", "severity", "upstream", "model", "gpu", "reason", "collector"],
    ),
    ("process_cpu_seconds_total", C, &[]),
    ("process_resident_memory_bytes", G, &[]),
    ("process_open_fds", G, &[]),
    ("process_max_fds", G, &[]),
    ("process_threads", G, &[]),
    ("process_start_time_seconds", G, &[]),
];

/// The meaning of a selector's name.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The whole name of the metric, without a histogram's suffix.
    pub(crate) family: String,
    /// The series is a counter, to be read with `rate` or `increase`.
    pub(crate) grows: bool,
    /// `None` for a recorded series, which may have any label of its sources.
    pub(crate) labels: Option<BTreeSet<&'static str>>,
}

/// Finds a series by its name; `None` if there is none. Names of recorded series contain colons and are looked up
/// in `recorded`.
pub(crate) fn look_up(name: &str, recorded: &[String]) -> Option<Known> {
    if recorded.iter().any(|known| known == name) {
        return Some(Known { family: name.to_owned(), grows: false, labels: None });
    }
    if let Some((_, kind, labels)) = FOREIGN.iter().find(|(known, ..)| *known == name) {
        return Some(known(name, *kind, labels, false));
    }
    let bare = name.strip_prefix("streamgauge_")?;
    let (part, le) = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| Some((bare.strip_suffix(suffix)?, *suffix == "_bucket")))
        .unwrap_or((bare, false));
    METRICS.iter().find_map(|&(metric, kind, labels)| {
        let whole = if kind == H && metric == bare {
            NATIVE.contains(&metric)
        } else if kind == H {
            part != bare && metric == part
        } else {
            metric == bare
        };
        whole.then(|| known(&format!("streamgauge_{metric}"), kind, labels, le))
    })
}

fn known(family: &str, kind: Kind, labels: &[&'static str], le: bool) -> Known {
    let every = ["job", "instance"].into_iter().chain(le.then_some("le"));
    let labels = labels.iter().copied().chain(every).collect();
    Known { family: family.to_owned(), grows: kind != G, labels: Some(labels) }
}

impl Kind {
    /// As the exposition format and docs/reference/metrics.md write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            C => "counter",
            G => "gauge",
            H => "histogram",
        }
    }
}

/// `tests/metrics_doc.rs` compares docs/reference/metrics.md with the code, so this compares the contract with the
/// code too.
#[test]
fn contract_matches_documented_metrics() {
    let page = text("docs/reference/metrics.md");
    let mut lines = page.lines();
    let mut seen = 0;
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("### `streamgauge_") else { continue };
        let name = name.trim_end_matches('`');
        let facts = lines.next().unwrap();
        let kind = facts.trim_start_matches('*').split(' ').next().unwrap();
        let labels: BTreeSet<&str> =
            facts.rsplit('·').next().unwrap().split('`').skip(1).step_by(2).collect();
        let known = METRICS.iter().find(|(known, ..)| *known == name);
        let (_, known, own) = known.unwrap_or_else(|| panic!("{name} is in no contract"));
        assert_eq!(kind, known.word(), "{name}");
        assert_eq!(labels, own.iter().copied().collect(), "{name}");
        seen += 1;
    }
    assert!(seen > 25, "{seen} headings were read");
}

#[test]
fn contract_knows_histogram_only_by_its_series() {
    let series = |name: &str| look_up(name, &[]).map(|known| (known.family, known.grows));
    let gap = Some(("streamgauge_chunk_gap_seconds".to_owned(), true));
    assert_eq!(series("streamgauge_chunk_gap_seconds_bucket"), gap);
    assert_eq!(series("streamgauge_chunk_gap_seconds"), gap, "it can be native");
    assert!(series("streamgauge_request_duration_seconds_bucket").is_some());
    assert_eq!(series("streamgauge_request_duration_seconds"), None);
    assert_eq!(series("streamgauge_queue_depth_bucket"), None);
    assert_eq!(series("streamgauge_queue_depth"), Some(("streamgauge_queue_depth".to_owned(), false)));
    assert_eq!(series("chunk_gap_seconds_bucket"), None);
    assert!(look_up("up", &[]).is_some());
}
