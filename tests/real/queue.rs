//! Ollama's own queue, which it does not report.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    answer::{Answer, post},
    ollama::{MODEL, Ollama},
    sidecar::Sidecar,
    tool::{self, CALLER, ChatPath},
    version::{Version, on_every_ollama},
    wire::Request,
};

fn wait_for_the_only_slot_is_measured_as_queue(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let ask = json!({"model": MODEL, "prompt": "Tell a story.", "options": {"num_predict": 40}});
    let queue = [r#"phase="queue""#];

    post(&sidecar.url, "/api/generate", &ask);
    sidecar.until("phase_seconds_count", &queue, 1.0);
    let alone = sidecar.sum("phase_seconds_sum", &queue);

    let started = Instant::now();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let clients = [(); 3].map(|()| scope.spawn(|| post(&sidecar.url, "/api/generate", &ask)));
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let took = started.elapsed().as_secs_f64();
    sidecar.until("phase_seconds_count", &queue, 4.0);
    let queued = sidecar.sum("phase_seconds_sum", &queue) - alone;

    let mut evals: Vec<f64> = answers.iter().map(eval).collect();
    evals.sort_by(f64::total_cmp);
    // The second request waits for one generation and the third for two. The parts of a generation besides `eval`
    // make it longer.
    let least = 2.0 * evals[0] + evals[1];
    assert!(queued >= least, "{queued} s of queue, {evals:?} s of eval");
    assert!(queued <= 3.0 * took, "{queued} s of queue in {took} s");
    assert!(alone < least / 3.0, "{alone} s of queue with nobody there");
}

/// The concurrent requests. All but the first one wait.
const QUEUED: usize = 6;
/// The line of Ollama's log when a request has come.
const ARRIVED: &str = "evaluating already loaded";

/// The hidden queue of each request, compared with the time in Ollama's log when its slot began.
fn hidden_queue_is_as_long_as_in_slot_log(version: Version) {
    let ollama = Ollama::start_logging(version, 1);
    let text = json!({"model": MODEL, "prompt": "Tell a story.", "options": {"num_predict": 40}});
    is_as_long_as_the_log_says(&ollama, "text", &Request::post("/api/generate", &text));
    let call = json!({"model": CALLER, "messages": tool::question(), "tools": tool::tools()});
    tool::create(&ollama, ChatPath::GoTemplate);
    is_as_long_as_the_log_says(&ollama, "a tool call by Go template", &Request::post("/api/chat", &call));
    if version.runs_llama_server() {
        tool::create(&ollama, ChatPath::Native);
        is_as_long_as_the_log_says(&ollama, "a native tool call", &Request::post("/api/chat", &call));
    }
}

fn is_as_long_as_the_log_says(ollama: &Ollama, what: &str, request: &Request) {
    let sidecar = Sidecar::start(ollama);
    let queue = [r#"phase="queue""#];
    request.ask(&sidecar.url);
    sidecar.until("phase_seconds_count", &queue, 1.0);
    let version = ollama.version;
    let mark = if version.runs_llama_server() { "processing task, is_child" } else { "loading cache slot" };
    let marks = [ARRIVED, mark];
    let before = marks.map(|mark| ollama.log().matches(mark).count());

    let mut seen = vec![sidecar.sum("phase_seconds_sum", &queue)];
    let [arrived, begun] = thread::scope(|scope| {
        let log = scope.spawn(|| ollama.moments(marks, before.map(|before| before + QUEUED)));
        for _ in 0..QUEUED {
            scope.spawn(|| request.ask(&sidecar.url));
            // Ollama takes them in order of arrival.
            thread::sleep(Duration::from_millis(50));
        }
        // With one slot they end one after another, a generation apart.
        for ended in 1..=QUEUED {
            sidecar.until("phase_seconds_count", &queue, (ended + 1) as f64);
            seen.push(sidecar.sum("phase_seconds_sum", &queue));
        }
        log.join().unwrap()
    });
    let told = seen.windows(2).map(|pair| pair[1] - pair[0]);
    let waited = arrived[before[0]..].iter().zip(&begun[before[1]..]);
    let waited = waited.map(|(arrived, begun)| begun.duration_since(*arrived).as_secs_f64());
    let pairs: Vec<_> = waited.zip(told).collect();
    println!("{version}, {what}: seconds until its slot began, and of hidden queue: {pairs:.4?}");
    let mut errors: Vec<_> = pairs[1..].iter().map(|(waited, told)| (waited - told).abs()).collect();
    errors.sort_by(f64::total_cmp);
    // The median, since a busy machine delays reading the log. Before 0.30 it is accurate to about the time of one
    // token, which varies by a half from run to run, and a tool call includes its sampling.
    let median = errors[errors.len() / 2];
    if version.runs_llama_server() {
        assert!(median <= 0.010, "{version}, {what}: {pairs:?}");
    } else if !what.contains("call") {
        let token = pairs[1].0 / 40.0;
        assert!(median <= 2.0 * token, "{version}, {what}: {pairs:?}");
    }
    assert!(pairs[1..].iter().all(|(waited, _)| *waited > 0.05), "nothing waited: {pairs:?}");
}

/// The `eval_duration` of a response in seconds.
fn eval(answer: &Answer) -> f64 {
    let last = answer.records().pop().unwrap();
    Duration::from_nanos(last["eval_duration"].as_u64().unwrap()).as_secs_f64()
}

on_every_ollama! {
    hidden_queue_is_as_long_as_in_slot_log,
    wait_for_the_only_slot_is_measured_as_queue,
}
