//! Distinguishes wedged upstreams from working ones, with a clock that the tests set.

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
    Silence { kind, begun: true, length, prompt_bytes: 0 }
}

fn waiting(kind: RequestKind, length: Duration) -> Silence {
    Silence { kind, begun: false, length, prompt_bytes: 0 }
}

/// Returns the ratio of an upstream with these running requests, after it answered each of `before`.
fn ratio(before: &[Silence], running: &[Silence]) -> f64 {
    let (history, made) = history();
    before.iter().for_each(|silence| history.ended(*silence));
    history.ratio(running, made + 10_000 * S)
}

#[test]
fn stopped_stream_is_wedged_after_a_minute() {
    assert_eq!(ratio(&[], &[]), 0.0);
    assert_eq!(ratio(&[], &[begun(PLAIN, 30 * S)]), 0.5);
    assert_eq!(ratio(&[begun(PLAIN, S)], &[begun(PLAIN, 61 * S)]), 61.0 / 60.0);
}

#[test]
fn wedged_requires_every_stream_to_be_silent() {
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
fn tool_call_silence_is_judged_by_answered_tool_calls() {
    let two = |length| [waiting(TOOLS, length), begun(TOOLS, length)];
    assert_eq!(ratio(&[], &two(3000 * S)), 0.0, "nothing is known of them");
    let usual = [waiting(TOOLS, 200 * S), begun(TOOLS, 5 * S)];
    assert_eq!(ratio(&usual, &two(590 * S)), 590.0 / 600.0);
    assert!(ratio(&usual, &two(610 * S)) > 1.0);
}

#[test]
fn stopped_stream_beside_tool_call_is_wedged_after_usual_tool_call_silence() {
    let both = |length| [begun(PLAIN, length), waiting(TOOLS, length)];
    assert!(ratio(&[], &both(299 * S)) < 1.0, "unknown calls may take five minutes");
    assert!(ratio(&[], &both(301 * S)) > 1.0);
    let usual = [waiting(TOOLS, 30 * S)];
    assert!(ratio(&usual, &both(89 * S)) < 1.0);
    assert!(ratio(&usual, &both(91 * S)) > 1.0);
}

#[test]
fn wedged_upstream_is_not_hidden_by_new_requests() {
    let usual = [waiting(PLAIN, 2 * S)];
    let running = [begun(PLAIN, 70 * S), waiting(PLAIN, S)];
    assert!(ratio(&usual, &running) > 1.0);
}

#[test]
fn model_load_is_not_wedged() {
    let loading = [waiting(PLAIN, 250 * S), waiting(PLAIN, 240 * S)];
    assert!(ratio(&[waiting(PLAIN, 2 * S)], &loading) < 1.0);
}

#[test]
fn long_prompts_are_not_wedged_while_ollama_may_read_them() {
    let prompts = |length: Duration, prompt_bytes| {
        [0, 1].map(|second| Silence { prompt_bytes, ..waiting(PLAIN, length + second * S) })
    };
    let usual = [waiting(PLAIN, 2 * S)];
    assert!(ratio(&usual, &prompts(310 * S, 1_000)) > 1.0, "short prompts");
    assert!(ratio(&usual, &prompts(900 * S, 500_000)) < 1.0, "125,000 tokens");
    assert!(ratio(&usual, &prompts(2_900 * S, 500_000)) > 1.0);
    let stopped = Silence { prompt_bytes: 500_000, ..begun(PLAIN, 61 * S) };
    assert!(ratio(&[begun(PLAIN, S)], &[stopped]) > 1.0, "its prompt was read");
}

#[test]
fn chunk_of_ended_stream_counts_as_sign_of_life() {
    let (history, made) = history();
    history.heard(made + 95 * S);
    let running = [begun(PLAIN, 90 * S)];
    assert_eq!(history.ratio(&running, made + 101 * S), 0.1);
    history.heard(made + 50 * S);
    assert_eq!(history.ratio(&running, made + 101 * S), 0.1, "the newest counts");
}

#[test]
fn usual_silence_rises_at_once_falls_slowly_and_is_kept_per_kind() {
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
fn request_kind_is_read_from_body_and_silent_if_unknown() {
    let kind = |route, body: &str| RequestKind::of(route, &Peek::read(body.as_bytes()));
    assert_eq!(kind(Route::Chat, "{}"), PLAIN);
    assert_eq!(kind(Route::Chat, r#"{"tools":[1]}"#), TOOLS);
    assert_eq!(kind(Route::Chat, r#"{"stream":false}"#), WHOLE);
    assert!(!kind(Route::OpenaiChat, "{}").streamed);
    assert!(kind(Route::OpenaiChat, r#"{"stream":true}"#).streamed);
    assert!(!kind(Route::OpenaiTranscriptions, r#"{"stream":true}"#).streamed);
    assert_eq!(RequestKind::unread(Route::Chat), TOOLS);
}
