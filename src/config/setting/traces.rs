//! The section `[traces]`.

use std::time::Duration;

use super::{DAY, INSTANT, Setting, setting};
use crate::config::{field::Field, traces};

/// Its settings, in the order of the documentation.
pub(super) static TRACES: &[Setting] = &[
    setting(
        "traces.endpoint",
        Field::Other {
            kind: "http://HOST:PORT, https://HOST:PORT, with a path if needed",
            show: |c| c.traces.endpoint.clone().map(|url| toml::Value::from(url).to_string()),
            set: |c, given| Ok(traces::endpoint(given).map(|url| c.traces.endpoint = Some(url))?),
        },
        "The URL of an OTLP endpoint (HTTP with protobuf), such as Jaeger or a collector. Spans are posted to it with `/v1/traces` appended. Unset: no request is traced.",
    ),
    setting(
        "traces.sample_ratio",
        Field::Other {
            kind: "0 to 1",
            show: |c| Some(c.traces.sample_ratio.to_string()),
            set: |c, given| {
                c.traces.sample_ratio = given.real("0.01", &(0.0..=1.0))?;
                Ok(())
            },
        },
        "The share of the requests without a valid `traceparent` that are sampled. A request with a `traceparent` follows its flag.",
    ),
    setting(
        "traces.attributes",
        Field::Other {
            kind: "table of strings",
            show: |c| Some(traces::show_attributes(&c.traces.attributes)),
            set: |c, given| traces::attributes(given).map(|attributes| c.traces.attributes = attributes),
        },
        "The attributes of the resource, which all spans share. `service.name` is `streamgauge` unless the table has another one.",
    ),
    setting(
        "traces.headers_file",
        Field::Other {
            kind: "path",
            show: |c| c.traces.headers_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| traces::headers(&mut c.traces, "headers_file", given),
        },
        "A file that contains header fields for the endpoint, one `Name: value` on each line, such as `Authorization: Bearer TOKEN`.",
    ),
    setting(
        "traces.headers_env",
        Field::Other {
            kind: "name",
            show: |c| c.traces.headers_env.clone().map(|name| toml::Value::from(name).to_string()),
            set: |c, given| traces::headers(&mut c.traces, "headers_env", given),
        },
        "The name of an environment variable that contains such header fields.",
    ),
    setting(
        "traces.ca_file",
        Field::Other {
            kind: "path",
            show: |c| c.traces.ca_file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| traces::authorities(&mut c.traces, given),
        },
        "A PEM file with the only certificate authorities that are trusted for an `https` endpoint. Unset: the system's authorities.",
    ),
    setting(
        "traces.interval",
        Field::Duration(|c| &mut c.traces.interval, INSTANT..=Duration::from_secs(3600)),
        "The maximum time that a span waits in the queue before it is sent. One request to the endpoint sends up to 512 spans.",
    ),
    setting(
        "traces.timeout",
        Field::Duration(|c| &mut c.traces.timeout, INSTANT..=DAY),
        "The maximum time of one request to the endpoint.",
    ),
    setting(
        "traces.queue",
        Field::Count(|c| &mut c.traces.queue, 1..=1_000_000),
        "The maximum number of spans that wait to be sent. When the queue is full, further spans are dropped and counted.",
    ),
];
