//! A real Jaeger: its receiver, its storage in memory, and its query API.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    answer::get,
    process::{Process, cache, scratch, until},
};

pub(crate) struct Jaeger {
    /// Its own address of the loopback network, because its ports are fixed.
    host: Ipv4Addr,
    process: Process,
    _scratch: TempDir,
}

impl Jaeger {
    pub(crate) fn start() -> Jaeger {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // The number of a process is below 2^22, and a process runs at most four of them at once.
        let number = process::id() * 4 + STARTED.fetch_add(1, Ordering::Relaxed) % 4;
        let host = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() + number % (1 << 24));
        let scratch = scratch();
        let mut command = Command::new(cache("bin/jaeger"));
        let process = Process::start(command.arg(host.to_string()), scratch.path().join("jaeger.log"));
        let jaeger = Jaeger { host, process, _scratch: scratch };
        jaeger.process.find(|line| line.contains("queries are answered").then_some(()));
        jaeger
    }

    /// The value of `traces.endpoint`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}:4318", self.host)
    }

    fn query(&self, path: &str) -> (u16, Value) {
        let answer = get(&format!("http://{}:16686", self.host), path);
        (answer.status, answer.json())
    }

    /// The services of which it has spans.
    pub(crate) fn services(&self) -> Value {
        self.query("/api/v3/services").1["services"].clone()
    }

    /// The only span of a trace. Waits until it has come.
    pub(crate) fn span(&self, trace: &str) -> Span {
        let spans = until(|| self.trace(trace), || self.process.log());
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.into_iter().next().unwrap()
    }

    /// The spans of a trace, if it has the trace.
    pub(crate) fn trace(&self, trace: &str) -> Option<Vec<Span>> {
        let (status, answer) = self.query(&format!("/api/v3/traces/{trace}"));
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{answer}");
        Some(spans(&answer))
    }

    /// The spans of a service. Jaeger answers with all spans of its traces.
    pub(crate) fn found(&self, service: &str) -> Vec<Span> {
        let time = "query.start_time_min=2000-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z";
        let path = format!("/api/v3/traces?query.service_name={service}&query.num_traces=1000&{time}");
        let (status, answer) = self.query(&path);
        assert_eq!(status, 200, "{answer}");
        let spans = spans(&answer).into_iter();
        spans.filter(|span| span.resource["service.name"] == service).collect()
    }
}

/// A span as Jaeger has it.
#[derive(Debug)]
pub(crate) struct Span {
    span: Value,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Of its resource.
    pub(crate) resource: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.span[name].as_str().unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &Value {
        &self.span["kind"]
    }

    /// When it began and ended, in nanoseconds.
    pub(crate) fn times(&self) -> (u64, u64) {
        (nanos(&self.span["startTimeUnixNano"]), nanos(&self.span["endTimeUnixNano"]))
    }

    /// The names of its events without their first word, the time of each, and its attributes, by their time. Jaeger
    /// lists them by their names.
    pub(crate) fn events(&self) -> Vec<(String, u64, BTreeMap<String, String>)> {
        let events = self.span["events"].as_array().unwrap().iter();
        let told = |event: &Value| {
            let name = event["name"].as_str().unwrap().strip_prefix("streamgauge.").unwrap();
            (name.to_owned(), nanos(&event["timeUnixNano"]), attributes(&event["attributes"]))
        };
        let mut events: Vec<_> = events.map(told).collect();
        events.sort_by_key(|(_, time, _)| *time);
        events
    }
}

fn nanos(time: &Value) -> u64 {
    time.as_str().unwrap().parse().unwrap()
}

fn spans(answer: &Value) -> Vec<Span> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for of_resource in list(&answer["result"]["resourceSpans"]) {
        let resource = attributes(&of_resource["resource"]["attributes"]);
        for span in list(&of_resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
            found.push(Span {
                attributes: attributes(&span["attributes"]),
                resource: resource.clone(),
                span,
            });
        }
    }
    found
}

/// Attributes as text.
fn attributes(pairs: &Value) -> BTreeMap<String, String> {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs.map(|pair| (pair["key"].as_str().unwrap().to_owned(), shown(&pair["value"]))).collect()
}

fn shown(value: &Value) -> String {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "arrayValue" => inner["values"].as_array().unwrap().iter().map(shown).collect::<Vec<_>>().join(","),
        _ => inner.as_str().map_or_else(|| inner.to_string(), str::to_owned),
    }
}
