//! A status that the client gets before there is a response.

use super::*;

/// The status and the outcome of a request, once it has ended.
type Ended = Arc<Mutex<Option<(Option<StatusCode>, Outcome)>>>;

/// A request whose client has got 200.
fn early(bench: &Bench) -> (Measurement, Ended) {
    let mut measurement = bench.request("/v1/chat/completions");
    let ended = Ended::default();
    let seen = ended.clone();
    measurement.on_end(move |ending| *seen.lock().unwrap() = Some((ending.status, ending.outcome)));
    bench.meter.responded_early(measurement.live(), StatusCode::OK);
    (measurement, ended)
}

fn responses(bench: &Bench, code: u16) -> Option<f64> {
    bench.value(&format!("responses_total{{route=\"openai_chat\",code=\"{code}\"}}"))
}

#[test]
fn early_status_is_that_of_the_request_however_it_ends() {
    let bench = bench();
    let (mut failed, ended) = early(&bench);
    failed.responded(StatusCode::NOT_FOUND);
    failed.decide(Outcome::LateError);
    drain(&mut Box::pin(failed.deliver(script([Data("error")]))));
    assert_eq!(*ended.lock().unwrap(), Some((Some(StatusCode::OK), Outcome::LateError)));
    bench.ended(Outcome::LateError);
    assert_eq!((responses(&bench, 200), responses(&bench, 404)), (Some(1.0), None));
    // The model may not exist, so it gets no label.
    assert_eq!(bench.value(&models::ended("u", "openai_chat", "other", "late_error")), Some(1.0));

    let (left, ended) = early(&bench);
    drop(left);
    assert_eq!(*ended.lock().unwrap(), Some((Some(StatusCode::OK), Outcome::ClientAbort)));
    let (mut answered, ended) = early(&bench);
    answered.responded(StatusCode::OK);
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    drain(&mut Box::pin(answered.wrap_body(Some("text/event-stream"), script([Data(events)]))));
    assert_eq!(*ended.lock().unwrap(), Some((Some(StatusCode::OK), Outcome::Complete)));
    assert_eq!(responses(&bench, 200), Some(3.0));
}

#[test]
fn counters_of_late_errors_exist_at_zero_if_the_program_responds_early() {
    for respond_early in [false, true] {
        let bench = bench_with(Config { respond_early, ..Config::default() });
        let [_chat, _native] = ["/v1/chat/completions", "/api/chat"].map(|path| bench.request(path));
        let counter = |route| bench.value(&models::ended("u", route, "other", "late_error"));
        assert_eq!((counter("openai_chat"), counter("chat")), (respond_early.then_some(0.0), None));
        let _unsent = bench.meter.start(Facts::new("POST", "/v1/messages"));
        let unsent = models::ended("none", "anthropic_messages", "unknown", "late_error");
        assert_eq!(bench.value(&unsent), respond_early.then_some(0.0));
    }
}
