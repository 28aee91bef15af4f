//! Every layer around a body at once: the meter's figures are right, whatever shaping does.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use prometheus::{Registry, TextEncoder};
use proptest::prelude::*;
use streamgauge::{
    meter::{self, Facts, Meter},
    protocol::{Dialect, Framing, Route},
    shaping::{self, Shaping, Stream, adaptive, coalesce},
};
use tokio::time::{Instant, Sleep, sleep};

use crate::harness::{LAST, RECORD};

/// Chunks, each with the pause before it, and an error or a clean end.
struct Script {
    chunks: VecDeque<(Duration, Bytes)>,
    fails: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let Some((time, _)) = self.chunks.front() else {
            return Poll::Ready(self.fails.then_some(Err("the script says so")));
        };
        let time = *time;
        ready!(self.pause.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx));
        self.pause = None;
        Poll::Ready(self.chunks.pop_front().map(|(_, chunk)| Ok(Frame::data(chunk))))
    }
}

/// The facts that a test knows about a run.
struct Seen {
    registry: Registry,
    bytes: Vec<u8>,
}

impl Seen {
    fn value(&self, series: &str) -> f64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let series = format!("streamgauge_{series}");
        lines.find(|(name, _)| *name == series).map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    fn outcome(&self) -> String {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let ended: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("streamgauge_requests_total{") && !line.ends_with(" 0"))
            .collect();
        assert_eq!(ended.len(), 1, "one ending: {ended:?}");
        assert!(ended[0].ends_with(" 1"), "{ended:?}");
        ended[0].split("outcome=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

/// Reads this many frames of a stream through every layer, then drops the body.
fn run(script: Script, shaping: shaping::Config, frames: usize) -> Seen {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new();
        let meter = Meter::register(&registry, &meter::Config::default(), &["u"]).unwrap();
        let shaping = Shaping::new(shaping::Families::register(&registry).unwrap(), shaping);
        let since = Instant::now();
        shaping.adapt("u", move || {
            let mut reading = adaptive::Reading { tokens: [100.0; 8], ..Default::default() };
            let elapsed = since.elapsed().as_secs_f64();
            (reading.seconds[0], reading.free_seconds[0]) = (1.0, 1.0);
            (reading.seconds[1], reading.stream_seconds[1]) = (elapsed, 2.0 * elapsed);
            reading.free_seconds[1] = 2.0 * elapsed;
            reading
        });
        let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
        measurement.upstream_chosen("u");
        measurement.responded(http::StatusCode::OK);
        let (tap, delivered) = measurement.split(Some("application/x-ndjson"), script);
        let stream = Stream {
            route: Route::Generate,
            dialect: Dialect::Ollama,
            framing: Some(Framing::Ndjson),
            caller: "anonymous",
            pace: None,
            upstream: "u",
            strip_usage: false,
        };
        let mut body = Box::pin(delivered.wrap(shaping.wrap(&stream, tap)));
        let mut seen = Seen { registry, bytes: Vec::new() };
        for _ in 0..frames {
            match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                None | Some(Err(_)) => break,
                Some(Ok(frame)) => seen.bytes.extend_from_slice(&frame.into_data().unwrap()),
            }
        }
        drop(body);
        seen
    })
}

/// The text that a client assembles.
fn assembled(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).unwrap_or_default();
    lines.filter_map(|line| record(line)["response"].as_str().map(str::to_owned)).collect()
}

fn shaping() -> impl Strategy<Value = shaping::Config> {
    let coalesce = prop::option::of(
        (1_u64..80, 1_usize..500)
            .prop_map(|(delay, bytes)| coalesce::Config { delay: Duration::from_millis(delay), bytes }),
    );
    let adaptive =
        prop::option::of(Just(adaptive::Config { window: Duration::from_millis(100), ..Default::default() }));
    (prop_oneof![Just(0_u32), 1_u32..200], adaptive, coalesce, any::<bool>()).prop_map(
        |(pace, adaptive, coalesce, merge)| shaping::Config {
            pace,
            adaptive,
            coalesce,
            merge,
            ..shaping::Config::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn meter_is_correct_with_any_shaping(
        shaping in shaping(),
        records in 0_usize..40,
        last in any::<bool>(),
        fails in any::<bool>(),
        cuts in prop::collection::vec((1_usize..90, 0_u64..100), 1..12),
        frames in prop_oneof![2 => Just(usize::MAX), 1 => 0_usize..30],
    ) {
        let body = RECORD.repeat(records) + if last { LAST } else { "" };
        let (mut rest, mut chunks) = (body.as_bytes(), VecDeque::new());
        for (length, pause) in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*length).min(rest.len()));
            chunks.push_back((Duration::from_millis(*pause), Bytes::copy_from_slice(chunk)));
            rest = after;
        }
        let seen = run(Script { chunks, fails, pause: None }, shaping.clone(), frames);
        let got_all = assembled(&seen.bytes).len() == records && (!last || seen.bytes.ends_with(LAST.as_bytes()));
        prop_assert!(shaping.merge || body.as_bytes().starts_with(&seen.bytes));
        if frames == usize::MAX {
            prop_assert!(got_all);
            let told = if fails { "upstream_error" } else if last { "complete" } else { "truncated" };
            prop_assert_eq!(seen.outcome(), told);
            let counted = seen.value("records_total{model=\"unknown\",kind=\"content\"}");
            prop_assert_eq!(counted, records as f64);
        } else if !got_all {
            prop_assert_eq!(seen.outcome(), "client_abort", "what was held was not handed over");
        }
        prop_assert_eq!(seen.value("shaping_buffer_bytes"), 0.0);
        prop_assert_eq!(seen.value("requests_in_flight{upstream=\"u\",route=\"generate\"}"), 0.0);
    }
}

/// The last record had come and was held by the pace when the client disconnected: it was recorded as complete.
#[test]
fn client_that_leaves_before_held_records_is_an_abort() {
    for merge in [false, true] {
        let body = Bytes::from(RECORD.repeat(20) + LAST);
        let chunks = VecDeque::from([(Duration::ZERO, body)]);
        let shaping = shaping::Config { pace: 10, merge, ..shaping::Config::default() };
        let seen = run(Script { chunks, fails: false, pause: None }, shaping, 3);
        assert_eq!(seen.outcome(), "client_abort", "merge: {merge}");
    }
}
