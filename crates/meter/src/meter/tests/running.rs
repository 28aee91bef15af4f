//! Streams that run: their time, silences and gaps so far.

use super::*;

#[test]
fn stream_seconds_accrue_while_stream_runs() {
    let bench = bench();
    let mut streams = [bench.stream([Data(FIRST), Wait]), bench.stream([Data(FIRST), Wait])];
    for body in &mut streams {
        assert!(poll(body).is_ready());
    }
    thread::sleep(Duration::from_millis(20));
    let at_two = bench.value("concurrency_seconds_total{streams=\"2\",upstream=\"u\"}").unwrap();
    assert!(at_two >= 0.02);
    assert!(
        bench.value("concurrency_stream_seconds_total{streams=\"2\",upstream=\"u\"}").unwrap()
            >= 2.0 * at_two
    );
    drop(streams);
    let text = bench.scrape();
    let sum = |name: &str| {
        let series = format!("streamgauge_{name}{{upstream=\"u\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok()).unwrap()
    };
    let speedup = sum("stream_seconds_total") / sum("busy_seconds_total");
    assert!((1.0..=2.0).contains(&speedup), "{speedup}");
}

#[test]
fn running_stream_is_listed_with_its_silence() {
    let bench = bench();
    let waiting = bench.request("/api/chat");
    let mut body = bench.stream([Data(FIRST), Wait]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    thread::sleep(Duration::from_millis(10));
    let [first, second] = &bench.meter.live()[..] else { panic!("two run") };
    assert_eq!((first.route.label(), first.records, first.decoding), ("chat", 0, false));
    assert_eq!((second.route.label(), second.tokens, second.decoding), ("generate", 1, true));
    assert_eq!(second.model.as_deref(), Some("m:latest"));
    assert!(second.silent.unwrap() >= Duration::from_millis(10));
    assert!(bench.value("silent_seconds{upstream=\"u\"}").unwrap() >= 0.01);
    assert!(bench.value("waiting_seconds{upstream=\"u\"}").unwrap() >= 0.01);
    drop((waiting, body));
    assert_eq!(bench.value("silent_seconds{upstream=\"u\"}"), Some(0.0));
    assert_eq!(bench.value("waiting_seconds{upstream=\"u\"}"), Some(0.0));
}

#[test]
fn chunk_of_ended_stream_lowers_silence_ratio_of_its_upstream() {
    let bench = bench();
    let ratio = || bench.value("silence_ratio{upstream=\"u\"}").unwrap();
    let begin = |last| {
        let measurement = bench.answered("/api/generate", 200);
        measurement.request_read(&crate::protocol::Peek::read(b"{\"model\":\"m\",\"prompt\":\"a\"}"));
        let mut body = Box::pin(measurement.wrap_body(NDJSON, script([Data(FIRST), last])));
        assert!(poll(&mut body).is_ready());
        body
    };
    let mut silent = begin(Wait);
    assert!(poll(&mut silent).is_pending());
    thread::sleep(Duration::from_millis(50));
    let before = ratio();
    assert!(before > 0.0);
    drain(&mut begin(Data(LAST)));
    assert!(ratio() < before);
}

#[test]
fn newest_chunk_of_an_upstream_is_that_of_a_running_or_an_ended_response() {
    let bench = bench();
    let since = || bench.meter.since_chunk("u");
    let waiting = bench.request("/api/chat");
    assert_eq!(since(), None, "nothing has come");
    let mut body = bench.stream([Data(FIRST), Wait, Data(SECOND), Wait]);
    assert!(poll(&mut body).is_ready());
    thread::sleep(Duration::from_millis(20));
    let before = since().unwrap();
    assert!(before >= Duration::from_millis(20), "{before:?}");
    assert!(poll(&mut body).is_pending() && poll(&mut body).is_ready());
    assert!(since().unwrap() < before, "of the running stream");
    drop(body);
    let ended = since().unwrap();
    assert!(ended < before, "of the ended stream");
    thread::sleep(Duration::from_millis(20));
    assert!(since().unwrap() >= ended + Duration::from_millis(20));
    drop(waiting);
}

#[test]
fn silence_of_tool_calls_counts_once_an_earlier_one_was_answered() {
    let bench = bench();
    let ratio = || bench.value("silence_ratio{upstream=\"u\"}").unwrap();
    let begin = || {
        let mut body = bench.stream([Data(FIRST), Wait, Data(LAST)]);
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_pending());
        body
    };
    let (mut answered, _silent) = (begin(), [begin(), begin()]);
    thread::sleep(Duration::from_millis(10));
    assert_eq!(ratio(), 0.0);
    drain(&mut answered);
    drop(answered);
    thread::sleep(Duration::from_millis(10));
    assert!(ratio() > 0.0);
}

#[test]
fn running_stream_knows_its_gaps_so_far() {
    let bench = bench();
    let mut body = bench.stream((0..33).flat_map(|_| [Data(SECOND), Wait]));
    for chunk in 0..33 {
        if chunk == 20 {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_pending());
    }
    let [stream] = &bench.meter.live()[..] else { panic!("one runs") };
    let (middle, tail) = (stream.gap_p50.unwrap(), stream.gap_p99.unwrap());
    // 31 gaps are flushed, and one of them was long.
    assert!(tail > Duration::from_millis(15) && middle < Duration::from_millis(10), "{middle:?} {tail:?}");
    assert_eq!(stream.backpressure, Duration::ZERO);
}

#[test]
fn running_stream_quantiles_are_within_a_tenth() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Wait, Data(SECOND), Wait]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    // After half a second, the counts of the stream are flushed.
    thread::sleep(Duration::from_millis(520));
    assert!(poll(&mut body).is_ready());
    let [stream] = &bench.meter.live()[..] else { panic!("one runs") };
    let gap = stream.last_gap.unwrap().as_secs_f64();
    for told in [stream.gap_p50, stream.gap_p99] {
        let told = told.unwrap().as_secs_f64();
        assert!((told / gap - 1.0).abs() <= 0.1, "{told} for {gap}");
    }
}
