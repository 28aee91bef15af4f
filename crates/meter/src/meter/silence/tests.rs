//! What is wedged and what is work, by a clock that the tests set.

use super::*;

const S: Duration = Duration::from_secs(1);
const PLAIN: RequestKind = RequestKind { route: Route::Chat, streamed: true, constrained: false };
const TOOLS: RequestKind = RequestKind { constrained: true, ..PLAIN };
const WHOLE: RequestKind = RequestKind { streamed: false, ..PLAIN };

fn history() -> (History, Instant) {
    let made = Instant::now();
    (History::new(made), made)
}

fn begun(kind: RequestKind, length: Duration) -> Silence {
    Silence { kind, begun: true, length }
}

fn waiting(kind: RequestKind, length: Duration) -> Silence {
    Silence { kind, begun: false, length }
}

/// The ratio of what runs at an upstream that had answered each of `before`.
fn ratio(before: &[Silence], running: &[Silence]) -> f64 {
    let (history, made) = history();
    before.iter().for_each(|silence| history.ended(*silence));
    history.ratio(running, made + 10_000 * S)
}

#[test]
fn stream_that_stops_is_wedged_after_a_minute() {
    assert_eq!(ratio(&[], &[]), 0.0);
    assert_eq!(ratio(&[], &[begun(PLAIN, 30 * S)]), 0.5);
    assert_eq!(ratio(&[begun(PLAIN, S)], &[begun(PLAIN, 61 * S)]), 61.0 / 60.0);
}

#[test]
fn every_stream_has_to_be_silent() {
    let stuck = begun(PLAIN, 500 * S);
    assert!(ratio(&[], &[stuck]) > 8.0);
    assert!(ratio(&[], &[stuck, begun(PLAIN, S / 10)]) < 0.01);
    assert!(ratio(&[], &[stuck, begun(TOOLS, S / 10)]) < 0.01);
}

#[test]
fn long_tool_call_alone_is_never_wedged() {
    let usual = [waiting(TOOLS, 5 * S), begun(TOOLS, 5 * S)];
    for before in [&[][..], &usual] {
        assert_eq!(ratio(before, &[waiting(TOOLS, 3000 * S)]), 0.0);
        assert_eq!(ratio(before, &[begun(TOOLS, 3000 * S)]), 0.0);
    }
    assert_eq!(ratio(&usual, &[waiting(WHOLE, 3000 * S)]), 0.0, "nor is a response that is no stream");
}

#[test]
fn tool_calls_are_judged_by_those_that_were_answered() {
    let two = |length| [waiting(TOOLS, length), begun(TOOLS, length)];
    assert_eq!(ratio(&[], &two(3000 * S)), 0.0, "nothing is known of them");
    let usual = [waiting(TOOLS, 200 * S), begun(TOOLS, 5 * S)];
    assert_eq!(ratio(&usual, &two(590 * S)), 590.0 / 600.0);
    assert!(ratio(&usual, &two(610 * S)) > 1.0);
}

#[test]
fn stuck_stream_beside_a_tool_call_waits_for_what_is_usual_of_calls() {
    let both = |length| [begun(PLAIN, length), waiting(TOOLS, length)];
    assert!(ratio(&[], &both(299 * S)) < 1.0, "unknown calls may take five minutes");
    assert!(ratio(&[], &both(301 * S)) > 1.0);
    let usual = [waiting(TOOLS, 30 * S)];
    assert!(ratio(&usual, &both(89 * S)) < 1.0);
    assert!(ratio(&usual, &both(91 * S)) > 1.0);
}

#[test]
fn requests_that_keep_coming_to_a_wedged_upstream_do_not_hide_it() {
    let usual = [waiting(PLAIN, 2 * S)];
    let running = [begun(PLAIN, 70 * S), waiting(PLAIN, S)];
    assert!(ratio(&usual, &running) > 1.0);
}

#[test]
fn load_of_a_model_is_not_wedged() {
    let loading = [waiting(PLAIN, 250 * S), waiting(PLAIN, 240 * S)];
    assert!(ratio(&[waiting(PLAIN, 2 * S)], &loading) < 1.0);
}

#[test]
fn chunk_of_a_stream_that_ended_is_a_sign_of_life() {
    let (history, made) = history();
    history.heard(made + 95 * S);
    let running = [begun(PLAIN, 90 * S)];
    assert_eq!(history.ratio(&running, made + 101 * S), 0.1);
    history.heard(made + 50 * S);
    assert_eq!(history.ratio(&running, made + 101 * S), 0.1, "the newest counts");
}

#[test]
fn usual_rises_at_once_and_falls_slowly_and_kinds_are_apart() {
    let (history, _) = history();
    let usual = |silence| history.usual(&silence).map(|usual| usual.as_secs());
    history.ended(waiting(TOOLS, 160 * S));
    assert_eq!(usual(waiting(TOOLS, S)), Some(160));
    history.ended(waiting(TOOLS, Duration::ZERO));
    assert_eq!(usual(waiting(TOOLS, S)), Some(150));
    for _ in 0..100 {
        history.ended(waiting(TOOLS, 2 * S));
    }
    assert_eq!(usual(waiting(TOOLS, S)), Some(2));
    let responses = RequestKind { route: Route::OpenaiResponses, ..TOOLS };
    for other in [begun(TOOLS, S), waiting(PLAIN, S), waiting(WHOLE, S), waiting(responses, S)] {
        assert_eq!(usual(other), None, "{other:?}");
    }
    history.ended(begun(PLAIN, Duration::MAX));
    assert!(history.ratio(&[begun(PLAIN, 9000 * S)], Instant::now()) < 1.0, "it does not overflow");
}

#[test]
fn kind_is_by_the_body_and_silent_where_that_does_not_tell() {
    let kind = |route, body: &str| RequestKind::of(route, &Peek::read(body.as_bytes()));
    assert_eq!(kind(Route::Chat, "{}"), PLAIN);
    assert_eq!(kind(Route::Chat, r#"{"tools":[1]}"#), TOOLS);
    assert_eq!(kind(Route::Chat, r#"{"stream":false}"#), WHOLE);
    assert!(!kind(Route::OpenaiChat, "{}").streamed);
    assert!(kind(Route::OpenaiChat, r#"{"stream":true}"#).streamed);
    assert!(!kind(Route::OpenaiTranscriptions, r#"{"stream":true}"#).streamed);
    assert_eq!(RequestKind::unread(Route::Chat), TOOLS);
}
