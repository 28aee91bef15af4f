//! Measures scripted bodies: complete, cut, held and failed ones.
#![expect(clippy::disallowed_methods, reason = "without a runtime only a sleep lets time pass")]

mod counts;
mod early;
mod held;
mod models;
mod origin;
mod running;

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use prometheus::{Registry, TextEncoder};

use super::*;

const NDJSON: Option<&str> = Some("application/x-ndjson");
const FIRST: &str = "{\"created_at\":\"2025-01-01T00:00:00.000Z\",\"response\":\"a\",\"done\":false}\n";
const SECOND: &str = "{\"created_at\":\"2025-01-01T00:00:00.050Z\",\"response\":\"b\",\"done\":false}\n";
const LAST: &str = "{\"done\":true,\"prompt_eval_count\":7,\"eval_count\":2,\"total_duration\":3000000000,\
                    \"load_duration\":700000000,\"prompt_eval_duration\":100000000,\"eval_duration\":40000000}\n";

enum Step {
    Data(&'static str),
    Wait,
    Trailers,
    Fail,
}
use Step::{Data, Fail, Trailers, Wait};

struct Script {
    steps: VecDeque<Step>,
    length: Option<u64>,
}

fn script(steps: impl IntoIterator<Item = Step>) -> Script {
    Script { steps: steps.into_iter().collect(), length: None }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Data(text)) => Some(Ok(Frame::data(text.into()))),
            Some(Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
            Some(Wait) => return Poll::Pending,
            Some(Fail) => Some(Err("reset")),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.length.is_some() && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Returns a series with its labels sorted.
fn sorted(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

struct Bench {
    registry: Registry,
    meter: Meter,
}

fn bench() -> Bench {
    bench_with(Config::default())
}

fn bench_with(config: Config) -> Bench {
    let registry = Registry::new();
    let meter = Meter::register(&registry, &config, &["u"]).unwrap();
    Bench { registry, meter }
}

impl Bench {
    fn request(&self, path: &str) -> Measurement {
        let mut measurement = self.meter.start(Facts::new("POST", path));
        measurement.model_named("m");
        measurement.upstream_chosen("u");
        measurement.live().request_sent();
        measurement
    }

    fn answered(&self, path: &str, status: u16) -> Measurement {
        let mut measurement = self.request(path);
        measurement.responded(StatusCode::from_u16(status).unwrap());
        measurement
    }

    fn stream(&self, steps: impl IntoIterator<Item = Step>) -> Pin<Box<Delivered<Tap<Script>>>> {
        Box::pin(self.answered("/api/generate", 200).wrap_body(NDJSON, script(steps)))
    }

    fn scrape(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// Returns the value of a series, whose labels may be in any order. `None`: it does not exist.
    fn value(&self, series: &str) -> Option<f64> {
        let series = sorted(&format!("streamgauge_{series}"));
        let text = self.scrape();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.find(|(name, _)| sorted(name) == series).map(|(_, value)| value.parse().unwrap())
    }

    /// Returns the ended requests, as `(outcome, count)`.
    fn outcomes(&self) -> Vec<(String, f64)> {
        let text = self.scrape();
        let lines = text.lines().filter(|line| line.starts_with("streamgauge_requests_total{"));
        let outcome = |line: &str| {
            let (_, rest) = line.split_once("outcome=\"")?;
            let (outcome, rest) = rest.split_once('"')?;
            Some((outcome.to_owned(), rest.rsplit_once(' ')?.1.parse().ok()?))
        };
        lines.filter_map(outcome).filter(|(_, count)| *count > 0.0).collect()
    }

    fn ended(&self, outcome: Outcome) {
        assert_eq!(self.outcomes(), [(outcome.label().to_owned(), 1.0)]);
        assert!(self.meter.live().is_empty());
    }
}

fn poll<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// Polls to the end, also through pending states.
fn drain<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> String {
    let mut text = String::new();
    loop {
        match poll(body) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    text += std::str::from_utf8(data).unwrap();
                }
            }
            Poll::Ready(_) => return text,
            Poll::Pending => {}
        }
    }
}

#[test]
fn stream_with_its_last_record_is_complete_and_counted() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Wait, Data(SECOND), Wait, Data(LAST)]);
    assert_eq!(bench.value("requests_in_flight{route=\"generate\",upstream=\"u\"}"), Some(1.0));
    assert_eq!(drain(&mut body), [FIRST, SECOND, LAST].concat());
    // The request is over, even if the program keeps the body.
    let _kept = body;
    bench.ended(Outcome::Complete);
    for (series, value) in [
        ("requests_in_flight{route=\"generate\",upstream=\"u\"}", 0.0),
        ("responses_total{code=\"200\",route=\"generate\"}", 1.0),
        ("tokens_total{kind=\"prompt\",model=\"m:latest\"}", 7.0),
        ("tokens_total{kind=\"output\",model=\"m:latest\"}", 2.0),
        ("records_total{kind=\"content\",model=\"m:latest\"}", 2.0),
        ("records_total{kind=\"terminal\",model=\"m:latest\"}", 1.0),
        ("chunk_gap_seconds_count{at=\"upstream\",model=\"m:latest\"}", 1.0),
        ("chunk_gap_seconds_count{at=\"client\",model=\"m:latest\"}", 1.0),
        ("chunk_gap_seconds_sum{at=\"origin\",model=\"m:latest\"}", 0.05),
        ("chunk_bytes_count{model=\"m:latest\"}", 3.0),
        ("record_scan_seconds_count", 1.0),
        ("time_to_first_token_seconds_count{model=\"m:latest\",route=\"generate\"}", 1.0),
        ("output_tokens_per_second_sum{by=\"ollama\",model=\"m:latest\"}", 25.0),
        ("output_tokens_per_second_count{by=\"stream\",model=\"m:latest\"}", 1.0),
        ("phase_seconds_sum{model=\"m:latest\",phase=\"load\"}", 0.7),
        ("phase_seconds_sum{model=\"m:latest\",phase=\"prompt_eval\"}", 0.1),
        ("phase_seconds_sum{model=\"m:latest\",phase=\"eval\"}", 0.04),
        ("phase_seconds_count{model=\"m:latest\",phase=\"queue\"}", 1.0),
        ("phase_seconds_sum{model=\"m:latest\",phase=\"queue\"}", 0.0),
        ("phase_seconds_count{model=\"m:latest\",phase=\"decode\"}", 1.0),
        ("phase_seconds_count{model=\"m:latest\",phase=\"unaccounted\"}", 1.0),
        ("model_loads_total{cause=\"first\",model=\"m:latest\",upstream=\"u\"}", 1.0),
        ("usage_missing_total{route=\"generate\"}", 0.0),
        ("concurrency_tokens_total{model=\"m:latest\",streams=\"1\",upstream=\"u\"}", 2.0),
    ] {
        assert_eq!(bench.value(series), Some(value), "{series}");
    }
}

#[test]
fn outcome_follows_from_the_end_of_the_stream() {
    let error = "{\"error\":\"out of memory\"}\n";
    let cases: [(Vec<Step>, Outcome); 6] = [
        (vec![Data(FIRST), Data(LAST), Trailers], Outcome::Complete),
        (vec![Data("{\"status\":\"success\"}")], Outcome::Complete),
        (vec![Data(FIRST), Data(error)], Outcome::InBandError),
        (vec![Data(FIRST)], Outcome::Truncated),
        (vec![], Outcome::Truncated),
        (vec![Data(FIRST), Fail], Outcome::UpstreamError),
    ];
    for (steps, outcome) in cases {
        let bench = bench();
        let path = if outcome == Outcome::Complete { "/api/pull" } else { "/api/generate" };
        let mut body = Box::pin(bench.answered(path, 200).wrap_body(NDJSON, script(steps)));
        drain(&mut body);
        drop(body);
        bench.ended(outcome);
    }
    for (status, outcome) in
        [(404, Outcome::ClientError), (503, Outcome::UpstreamError), (204, Outcome::Complete)]
    {
        let bench = bench();
        let mut body = Box::pin(
            bench.answered("/api/chat", status).wrap_body(Some("application/json"), script([Data("{}")])),
        );
        drain(&mut body);
        bench.ended(outcome);
    }
}

#[test]
fn client_that_leaves_before_first_content_of_generation_is_counted() {
    let bench = bench();
    let left =
        |bench: &Bench| bench.value("left_before_first_token_total{upstream=\"u\",model=\"m:latest\"}");
    // A client that leaves after the first content, and one that leaves another route.
    let mut body = bench.stream([Data(FIRST), Wait]);
    assert!(poll(&mut body).is_ready());
    drop(body);
    drop(bench.answered("/api/embed", 200));
    assert_eq!(left(&bench), Some(0.0));
    let mut body = bench.stream([Wait]);
    assert!(poll(&mut body).is_pending());
    drop(body);
    assert_eq!(left(&bench), Some(1.0));
    // The first client leaves before the response begins. The second client leaves before an upstream is chosen.
    drop(bench.request("/api/generate"));
    drop(bench.meter.start(Facts::new("POST", "/api/chat")));
    let before = |labels: &str| bench.value(&format!("left_before_first_token_total{{{labels}}}"));
    assert_eq!(before("upstream=\"u\",model=\"m:latest\""), Some(2.0));
    assert_eq!(before("upstream=\"none\",model=\"unknown\""), Some(1.0));
}

#[test]
fn body_dropped_early_is_client_abort_or_cut_by_sidecar() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Wait]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    drop(body);
    bench.ended(Outcome::ClientAbort);
    assert_eq!(bench.value("usage_missing_total{route=\"generate\"}"), Some(1.0));

    let bench = self::bench();
    drop(bench.request("/api/generate"));
    bench.ended(Outcome::ClientAbort);

    let bench = self::bench();
    let body = bench.stream([Data(FIRST), Wait]);
    bench.meter.cut();
    drop(body);
    bench.ended(Outcome::Refused);
}

#[test]
fn finished_body_that_is_not_polled_to_its_end_is_complete() {
    // The client closed after it had got the terminal record.
    let bench = bench();
    let mut body = bench.stream([Data(LAST), Wait]);
    assert!(poll(&mut body).is_ready());
    drop(body);
    bench.ended(Outcome::Complete);

    // hyper drops a body of known length when it has all of it.
    let bench = self::bench();
    let whole = Script { steps: [Data("{\"models\":[]}")].into(), length: Some(13) };
    let mut body = Box::pin(bench.answered("/api/embed", 200).wrap_body(Some("application/json"), whole));
    assert!(poll(&mut body).is_ready());
    drop(body);
    bench.ended(Outcome::Complete);

    // An empty body is not polled at all.
    let bench = self::bench();
    let empty = Script { steps: [].into(), length: Some(0) };
    drop(bench.answered("/api/copy", 200).wrap_body(None, empty));
    bench.ended(Outcome::Complete);
}

#[test]
fn wait_for_the_model_is_a_gap() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Wait, Data(SECOND), Wait, Data(LAST)]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    thread::sleep(Duration::from_millis(20));
    drain(&mut body);
    drop(body);
    assert_eq!(bench.value("gaps_held_total{model=\"m:latest\"}"), Some(0.0));
    assert!(bench.value("chunk_gap_seconds_sum{at=\"upstream\",model=\"m:latest\"}").unwrap() >= 0.02);
    assert!(bench.value("phase_seconds_sum{model=\"m:latest\",phase=\"decode\"}").unwrap() >= 0.02);
}

#[test]
fn whole_response_has_counts_and_no_gaps() {
    let bench = bench();
    let answer = "{\"response\":\"ab\",\"done\":true,\"prompt_eval_count\":7,\"eval_count\":2,\
                  \"total_duration\":1000000000,\"load_duration\":200000000,\"eval_duration\":300000000}";
    let measurement = bench.answered("/api/generate", 200);
    let mut body = Box::pin(measurement.wrap_body(Some("application/json"), script([Data(answer)])));
    drain(&mut body);
    drop(body);
    bench.ended(Outcome::Complete);
    assert_eq!(bench.value("tokens_total{kind=\"output\",model=\"m:latest\"}"), Some(2.0));
    assert_eq!(bench.value("phase_seconds_sum{model=\"m:latest\",phase=\"unaccounted\"}"), Some(0.5));
    assert_eq!(bench.value("phase_seconds_count{model=\"m:latest\",phase=\"queue\"}"), Some(0.0));
    assert_eq!(bench.value("phase_seconds_count{model=\"m:latest\",phase=\"prompt_eval\"}"), Some(0.0));
    assert_eq!(
        bench.value("time_to_first_token_seconds_count{model=\"m:latest\",route=\"generate\"}"),
        Some(0.0)
    );
}

#[test]
fn malformed_records_pass_and_are_counted() {
    let bench = bench();
    let mut body =
        bench.stream([Data("nonsense\n"), Data("\0\u{fffd}\n{\"resp"), Data("onse\":\"a\"}\n"), Data(LAST)]);
    assert!(drain(&mut body).starts_with("nonsense\n\0"));
    drop(body);
    bench.ended(Outcome::Complete);
    assert_eq!(bench.value("records_unscanned_total{reason=\"malformed\"}"), Some(2.0));
    assert_eq!(bench.value("records_total{kind=\"content\",model=\"m:latest\"}"), Some(1.0));
}

#[test]
fn panic_in_measurement_ends_it_and_stream_continues() {
    let bench = bench();
    let measurement = bench.answered("/api/generate", 200);
    let (tap, delivered) = measurement.split(NDJSON, script([Data(FIRST), Data(SECOND), Data(LAST)]));
    let mut body = Box::pin(delivered.wrap(tap.panicking()));
    assert_eq!(drain(&mut body), [FIRST, SECOND, LAST].concat());
    drop(body);
    assert_eq!(bench.value("records_unscanned_total{reason=\"failed\"}"), Some(1.0));
    // The terminal record could not be seen, so it does not count as missing.
    bench.ended(Outcome::Complete);
}

#[test]
fn hook_is_called_once_with_the_outcome() {
    let bench = bench();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut measurement = bench.answered("/api/generate", 200);
    let kept = seen.clone();
    measurement.on_end(move |ending| kept.lock().unwrap().push(ending.clone()));
    let mut body = Box::pin(measurement.wrap_body(NDJSON, script([Data(FIRST), Data(LAST)])));
    drain(&mut body);
    drop(body);
    let seen = seen.lock().unwrap();
    let [ending] = &seen[..] else { panic!("once") };
    assert_eq!(
        (ending.outcome, ending.model.as_str(), ending.upstream.as_str()),
        (Outcome::Complete, "m:latest", "u")
    );
    assert_eq!((ending.usage.output_tokens, ending.content_records), (Some(2), 1));
    assert!(ending.first_token.is_some());
}

#[test]
fn hooks_are_called_in_the_given_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut measurement = bench().answered("/api/generate", 200);
    for hook in ["log", "charge"] {
        let seen = seen.clone();
        measurement.on_end(move |_| seen.lock().unwrap().push(hook));
    }
    measurement.finish(Outcome::Complete);
    assert_eq!(*seen.lock().unwrap(), ["log", "charge"]);
}

#[test]
fn byte_stream_is_measured_like_a_body() {
    struct Chunks(VecDeque<&'static str>);
    impl Stream for Chunks {
        type Item = Result<Bytes, Infallible>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front().map(|text| Ok(text.into())))
        }
    }
    let bench = bench();
    let chunks = Chunks([FIRST, LAST].into());
    let mut stream = Box::pin(bench.answered("/api/generate", 200).wrap_stream(NDJSON, chunks));
    let mut seen = 0;
    while let Poll::Ready(Some(chunk)) = stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {
        seen += chunk.unwrap().len();
    }
    drop(stream);
    assert_eq!(seen, FIRST.len() + LAST.len());
    bench.ended(Outcome::Complete);
}

#[test]
fn client_that_stops_reading_does_not_make_upstream_silent() {
    let bench = bench();
    let silent = || bench.value("silent_seconds{upstream=\"u\"}").unwrap();
    let mut body = bench.stream([Data(FIRST), Wait]);
    assert!(poll(&mut body).is_ready());
    thread::sleep(Duration::from_millis(20));
    assert_eq!(silent(), 0.0, "the body was not polled again");
    assert!(poll(&mut body).is_pending());
    assert!(silent() >= 0.02);
}

#[test]
fn scrape_during_slow_stream_is_up_to_date() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Wait, Data(SECOND), Wait]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    thread::sleep(Duration::from_millis(500));
    assert!(poll(&mut body).is_ready());
    assert_eq!(bench.value("records_total{model=\"m:latest\",kind=\"content\"}"), Some(2.0));
    assert_eq!(bench.value("chunk_gap_seconds_count{model=\"m:latest\",at=\"upstream\"}"), Some(1.0));
    assert_eq!(bench.value("chunk_gap_seconds_count{model=\"m:latest\",at=\"client\"}"), Some(1.0));
}
