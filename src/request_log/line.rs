//! Formats the line of a request. It never sees the content.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::config::LineFormat;
use crate::{meter::Ending, protocol::FinishReason};

const TARGET: &str = "streamgauge::request";

/// The line of a request that ended at `at`, with its end of line.
pub(super) fn line(format: LineFormat, at: SystemTime, ending: &Ending) -> String {
    let time = humantime::format_rfc3339_micros(at);
    let fields = fields(ending).into_iter().filter(|(_, value)| !value.is_null());
    let mut line = match format {
        LineFormat::Text => format!("{time}  INFO {TARGET}: finished"),
        LineFormat::Json => {
            format!(
                "{{\"timestamp\":\"{time}\",\"level\":\"INFO\",\"target\":\"{TARGET}\",\"message\":\"finished\""
            )
        }
    };
    for (name, value) in fields {
        match format {
            LineFormat::Text => write!(line, " {name}={value}"),
            LineFormat::Json => write!(line, ",\"{name}\":{value}"),
        }
        .expect("writing to a String does not fail");
    }
    line.push_str(match format {
        LineFormat::Text => "\n",
        LineFormat::Json => "}\n",
    });
    line
}

/// The fields in the order of the line. `null`: the value is not known, and the field is left out.
fn fields(ending: &Ending) -> Vec<(&'static str, Value)> {
    let usage = &ending.usage;
    // Microseconds are more than enough for people, and short.
    let seconds = |time: Option<Duration>| time.map(|time| time.as_micros() as f64 / 1e6);
    let noted = ending.has_failed() || ending.is_slow;
    vec![
        ("id", json!(ending.id.to_string())),
        ("trace_id", json!(ending.trace.map(|parent| parent.trace.to_string()))),
        ("route", json!(ending.route.label())),
        ("caller", json!(ending.caller.as_deref())),
        ("model", json!(ending.model)),
        ("upstream", json!(ending.upstream)),
        ("outcome", json!(ending.outcome.label())),
        ("finish", json!(ending.finish.map(FinishReason::label))),
        ("status", json!(ending.status.map(|status| status.as_u16()))),
        ("duration_s", json!(seconds(Some(ending.duration)))),
        ("ttft_s", json!(seconds(ending.first_token))),
        ("gap_p50_s", json!(seconds(ending.gap_p50))),
        ("gap_p99_s", json!(seconds(ending.gap_p99))),
        ("queue_s", json!(seconds(ending.queue_wait))),
        ("hidden_queue_s", json!(seconds(ending.hidden_queue))),
        ("load_s", json!(seconds(usage.load))),
        ("prompt_eval_s", json!(seconds(usage.prompt_eval))),
        ("client_wait_s", json!(seconds(Some(ending.client_wait).filter(|wait| !wait.is_zero())))),
        ("prompt_tokens", json!(usage.prompt_tokens)),
        ("prompt_cached_tokens", json!(usage.prompt_cached_tokens)),
        ("output_tokens", json!(usage.output_tokens)),
        ("prompt_cut", json!(ending.is_prompt_cut.then_some(true))),
        ("slow", json!(ending.is_slow.then_some(true))),
        ("reason", json!(noted.then(|| ending.reason()))),
    ]
}
