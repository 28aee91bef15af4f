//! Responses as curl receives them, and their parts that two responses to one request have in common.

use std::{
    collections::BTreeMap,
    process::{Command, Output},
};

use serde_json::Value;

use super::process::cache;

/// Fields that differ between two responses to one request.
const VOLATILE: [&str; 11] = [
    "completed_at",
    "created",
    "created_at",
    "eval_duration",
    "expires_at",
    "item_id",
    "load_duration",
    "modified_at",
    "prompt_eval_duration",
    "request_id",
    "total_duration",
];

/// Arrays that `show` lists in any order.
const LISTS: [&str; 2] = ["modelfile", "parameters"];

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header fields by lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The token counts of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) prompt: u64,
    /// The cached part of `prompt`.
    pub(crate) cached: u64,
    pub(crate) output: u64,
}

pub(crate) fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new(cache("bin/curl"));
    command.args(["--silent", "--show-error", "--no-buffer", "--noproxy", "*"]).args(arguments);
    command
}

/// Sends any method and any body.
pub(crate) fn ask(method: &str, url: &str, path: &str, body: Option<&str>) -> Answer {
    let url = format!("{url}{path}");
    let mut arguments = vec!["--include", &url];
    match method {
        "HEAD" => arguments.push("--head"),
        _ => arguments.extend(["--request", method]),
    }
    arguments.extend(
        body.into_iter()
            .flat_map(|body| ["--header", "content-type: application/json", "--data-binary", body]),
    );
    let output = curl(&arguments).output().unwrap();
    Answer::read(&output)
}

pub(crate) fn get(url: &str, path: &str) -> Answer {
    ask("GET", url, path, None)
}

pub(crate) fn post(url: &str, path: &str, body: &Value) -> Answer {
    ask("POST", url, path, Some(&body.to_string()))
}

impl Answer {
    pub(crate) fn read(output: &Output) -> Answer {
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        let end = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(output.stdout[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Answer { status, headers: lines.map(header).collect(), body: output.stdout[end + 4..].to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Each record of a body: the lines of NDJSON, the events of SSE, or the one JSON document.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        lines
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into()))
            .collect()
    }

    /// The comparable parts: records, and header fields except `Date`, `Content-Length` and `Connection`, which
    /// belong to one connection.
    pub(crate) fn lasting(&self) -> (u16, BTreeMap<String, String>, Vec<Value>) {
        let records = self.records().into_iter().map(lasting).collect();
        let headers = self
            .headers
            .iter()
            .filter(|(name, _)| !["date", "content-length", "connection"].contains(&name.as_str()));
        (self.status, headers.map(|(name, value)| (name.clone(), value.clone())).collect(), records)
    }

    /// The token counts of the response, in any dialect.
    pub(crate) fn told(&self) -> Told {
        let mut told = Told::default();
        for record in self.records() {
            // The usage of a `message_start`, which is inside its message, is an estimate.
            let usage =
                if record["response"].is_object() { &record["response"]["usage"] } else { &record["usage"] };
            let sum = |counts: &[&Value]| counts.iter().filter_map(|count| count.as_u64()).sum::<u64>();
            // In `/v1/messages`, `input_tokens` counts the tokens that were not cached.
            let read = &usage["cache_read_input_tokens"];
            told += Told {
                prompt: sum(&[
                    &record["prompt_eval_count"],
                    &usage["prompt_tokens"],
                    &usage["input_tokens"],
                    read,
                ]),
                cached: sum(&[
                    &record["prompt_eval_cached_count"],
                    &usage["prompt_tokens_details"]["cached_tokens"],
                    &usage["input_tokens_details"]["cached_tokens"],
                    read,
                ]),
                output: sum(&[&record["eval_count"], &usage["completion_tokens"], &usage["output_tokens"]]),
            };
        }
        told
    }
}

impl std::ops::AddAssign for Told {
    fn add_assign(&mut self, other: Told) {
        self.prompt += other.prompt;
        self.cached += other.cached;
        self.output += other.output;
    }
}

fn lasting(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !(VOLATILE.contains(&name.as_str()) || name == "id" && minted(value)))
            .map(|(name, value)| {
                let lasting = if LISTS.contains(&name.as_str()) { sorted(value) } else { lasting(value) };
                (name, lasting)
            })
            .collect(),
        Value::Array(mut values) => {
            // Models of the same second are listed in any order.
            if values.iter().all(|value| value.get("modified_at").is_some() || value["object"] == "model") {
                values.sort_by_key(Value::to_string);
            }
            values.into_iter().map(lasting).collect()
        }
        other => other,
    }
}

/// An id that is new each time, unlike the id of a model.
fn minted(id: &Value) -> bool {
    let new = ["chatcmpl-", "cmpl-", "resp_", "msg_", "rs_", "fc_", "call_"];
    id.as_str().is_some_and(|id| new.iter().any(|start| id.starts_with(start)))
}

fn sorted(value: Value) -> Value {
    let mut lines: Vec<&str> = value.as_str().unwrap_or_default().lines().collect();
    lines.sort_unstable();
    lines.into()
}
