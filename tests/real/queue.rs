//! Ollama's own queue, which it tells nobody of.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    answer::{Answer, post},
    ollama::{MODEL, Ollama},
    sidecar::Sidecar,
};

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn the_wait_for_the_only_slot_is_seen_as_queue() {
    let ollama = Ollama::start(1);
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
    // The second waits for one, the third for two; what is beside `eval` in a generation makes it longer.
    let least = 2.0 * evals[0] + evals[1];
    assert!(queued >= least, "{queued} s of queue, {evals:?} s of eval");
    assert!(queued <= 3.0 * took, "{queued} s of queue in {took} s");
    assert!(alone < least / 3.0, "{alone} s of queue with nobody there");
}

/// `eval_duration` of an answer, seconds.
fn eval(answer: &Answer) -> f64 {
    let last = answer.records().pop().unwrap();
    Duration::from_nanos(last["eval_duration"].as_u64().unwrap()).as_secs_f64()
}
