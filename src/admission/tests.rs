//! Admits, refuses and charges requests.

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderValue, StatusCode};
use prometheus::{Registry, TextEncoder};

use super::*;
use crate::protocol::Usage;

const MINUTE: Duration = Duration::from_secs(60);

fn per_minute(count: u32) -> Option<Quota> {
    Some(Quota::new(NonZeroU32::new(count).unwrap(), MINUTE))
}

fn key(name: &str, limits: Limits) -> Key {
    let digest = Digest::of(format!("sk-{name}").as_bytes());
    Key {
        name: name.to_owned(),
        digest,
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }
}

fn admission(config: &Config) -> (Admission, Registry) {
    let registry = Registry::new();
    (Admission::register(&registry, config, &["complete"]).unwrap(), registry)
}

fn bearer(key: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
    [(http::header::AUTHORIZATION, value)].into_iter().collect()
}

fn shows(registry: &Registry, line: &str) -> bool {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().any(|shown| shown == format!("streamgauge_{line}"))
}

#[test]
fn admission_without_settings_admits_all_and_forwards_key_field() {
    let (admission, _) = admission(&Config::default());
    for headers in [HeaderMap::new(), bearer("anything")] {
        for route in Route::ALL {
            let permit = admission.admit(&headers, route).unwrap();
            assert_eq!(permit.label(), ANONYMOUS);
            let mut onwards = headers.clone();
            permit.strip(&mut onwards);
            assert_eq!(onwards, headers);
        }
    }
}

#[test]
fn known_key_is_removed_and_unknown_key_is_forwarded() {
    let config = Config { keys: vec![key("alice", Limits::default())], ..Config::default() };
    let (admission, _) = admission(&config);
    let mut headers = bearer("sk-alice");
    let permit = admission.admit(&headers, Route::Chat).unwrap();
    assert_eq!(permit.label(), "alice");
    permit.strip(&mut headers);
    assert!(headers.is_empty());
    let mut headers = bearer("sk-bob");
    let permit = admission.admit(&headers, Route::Chat).unwrap();
    assert_eq!(permit.label(), ANONYMOUS);
    permit.strip(&mut headers);
    assert_eq!(headers.len(), 1);
}

#[test]
fn required_key_refuses_missing_and_unknown_keys() {
    let config =
        Config { require_key: true, keys: vec![key("alice", Limits::default())], ..Config::default() };
    let (admission, registry) = admission(&config);
    assert!(admission.admit(&bearer("sk-alice"), Route::Chat).is_ok());
    for (headers, refusal) in [
        (HeaderMap::new(), Refusal::NoKey),
        (bearer("sk-bob"), Refusal::UnknownKey),
        (bearer(&"k".repeat(1 << 20)), Refusal::UnknownKey),
    ] {
        assert_eq!(admission.admit(&headers, Route::Chat).unwrap_err(), refusal);
        let mut written = HeaderMap::new();
        refusal.write(&mut written);
        assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(written[http::header::WWW_AUTHENTICATE], "Bearer");
    }
    let mut two = bearer("sk-alice");
    two.append(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer sk-bob"));
    assert_eq!(admission.admit(&two, Route::Chat).unwrap_err(), Refusal::SeveralKeys);
    assert!(shows(&registry, "admission_total{decision=\"refused\",reason=\"unknown_key\"} 2"));
    assert!(shows(&registry, "admission_total{decision=\"refused\",reason=\"requests\"} 0"));
}

#[test]
fn closed_route_is_closed_to_all_and_access_list_of_key_narrows_further() {
    let mut alice = key("alice", Limits::default());
    alice.routes = Access::of(["chat", "delete"]).unwrap();
    let routes = Access::of(["chat", "tags"]).unwrap();
    let (admission, _) = admission(&Config { routes, keys: vec![alice], ..Config::default() });
    let open = |headers: &HeaderMap| {
        let is_open = |route: &Route| admission.admit(headers, *route).is_ok();
        Route::ALL.into_iter().filter(is_open).collect::<Vec<_>>()
    };
    assert_eq!(open(&HeaderMap::new()), [Route::Chat, Route::Tags]);
    assert_eq!(open(&bearer("sk-alice")), [Route::Chat]);
    let refusal = admission.admit(&HeaderMap::new(), Route::Delete).unwrap_err();
    assert_eq!((refusal.status(), refusal.retry_after()), (StatusCode::FORBIDDEN, None));
}

#[tokio::test(start_paused = true)]
async fn rate_limited_request_is_admitted_after_retry_after() {
    let limits = Limits { requests: per_minute(7), ..Limits::default() };
    let (admission, _) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let mut admitted = 0;
    for _ in 0..10_000 {
        match admission.admit(&bearer("sk-alice"), Route::Chat) {
            Ok(_) => admitted += 1,
            Err(refusal) => {
                assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
                let wait = refusal.retry_after().unwrap();
                assert!((1..=9).contains(&wait), "{wait}");
                tokio::time::advance(Duration::from_secs(wait)).await;
                admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
            }
        }
    }
    assert!(admitted > 0);
}

#[tokio::test(start_paused = true)]
async fn token_limit_charges_at_the_end_and_is_paid_back_first() {
    let limits = Limits { tokens: per_minute(100), ..Limits::default() };
    let (admission, registry) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let headers = bearer("sk-alice");
    let usage = Usage {
        prompt_tokens: Some(150),
        prompt_cached_tokens: Some(50),
        output_tokens: Some(100),
        ..Usage::default()
    };
    let permit = admission.admit(&headers, Route::Chat).unwrap();
    permit.charge(&Charge { outcome: "complete", usage, content_records: 99, ..Charge::default() });
    let refusal = admission.admit(&headers, Route::Chat).unwrap_err();
    // 200 tokens at 0.6 s each, minus the 99 that could have come at once.
    assert_eq!((refusal.reason(), refusal.retry_after()), ("tokens", Some(61)));
    let mut written = HeaderMap::new();
    refusal.write(&mut written);
    assert_eq!(written["retry-after"], "61");
    assert_eq!(written["x-ratelimit-limit-tokens"], "100");
    assert_eq!(written["x-ratelimit-remaining-tokens"], "0");
    assert_eq!(written["x-ratelimit-reset-tokens"], "120000ms");
    assert!(!written.contains_key("x-ratelimit-limit-requests"));
    // A route that generates no tokens needs none.
    admission.admit(&headers, Route::Tags).unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    admission.admit(&headers, Route::Chat).unwrap();
    assert!(shows(&registry, "caller_tokens_total{caller=\"alice\",kind=\"prompt_cached\"} 50"));
    assert!(shows(&registry, "caller_requests_total{caller=\"alice\",outcome=\"complete\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn first_tokens_and_client_wait_count_for_their_caller_until_its_key_is_gone() {
    let keys = vec![key("alice", Limits::default())];
    let (admission, registry) = admission(&Config { keys, ..Config::default() });
    assert!(shows(&registry, "caller_first_token_seconds_total{caller=\"alice\"} 0"));
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    permit.client_wait().inc_by(3.0);
    let first = |ms| Some(Duration::from_millis(ms));
    let charge = Charge { outcome: "complete", first_token: first(1500), ..Charge::default() };
    permit.charge(&charge);
    permit.charge(&Charge { first_token: first(500), ..charge });
    permit.charge(&Charge { first_token: None, ..charge });
    let counted = [("first_tokens", 2), ("first_token_seconds", 2), ("backpressure_seconds", 3)];
    let counted = counted.map(|(what, value)| format!("caller_{what}_total{{caller=\"alice\"}} {value}"));
    assert_eq!(counted.each_ref().map(|line| shows(&registry, line)), [true; 3]);
    admission.reload(&Config::default());
    assert_eq!(counted.each_ref().map(|line| shows(&registry, line)), [false; 3]);
}

#[tokio::test(start_paused = true)]
async fn token_limit_charges_records_of_stream_without_counts() {
    let limits = Limits { tokens: per_minute(100), ..Limits::default() };
    let (admission, _) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let left = |permit: &Permit| permit.allowances().tokens.unwrap().remaining;
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    assert_eq!(left(&permit), 99);
    let charge = Charge { outcome: "client_abort", content_records: 30, ..Charge::default() };
    permit.charge(&charge);
    assert_eq!(left(&permit), 70);
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    permit.charge(&Charge { content_records: 0, outcome: "upstream_error", ..charge });
    assert_eq!(left(&permit), 70);
}

#[tokio::test(start_paused = true)]
async fn token_limit_refusal_uses_no_request_of_the_rate_limit() {
    let limits = Limits { requests: per_minute(10), tokens: per_minute(1), ..Limits::default() };
    let (admission, _) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    for _ in 0..100 {
        assert_eq!(admission.admit(&bearer("sk-alice"), Route::Chat).unwrap_err().reason(), "tokens");
    }
    assert_eq!(permit.allowances().requests.unwrap().remaining, 9);
}

#[tokio::test(start_paused = true)]
async fn reload_changes_keys_and_keeps_state_of_unchanged_quotas() {
    let spent = Limits { requests: per_minute(1), ..Limits::default() };
    let before = Config { keys: vec![key("alice", spent), key("bob", spent)], ..Config::default() };
    let (admission, _) = admission(&before);
    for name in ["sk-alice", "sk-bob"] {
        admission.admit(&bearer(name), Route::Chat).unwrap();
        assert!(admission.admit(&bearer(name), Route::Chat).is_err());
    }
    let mut alice = key("alice", spent);
    alice.digest = Digest::of(b"sk-new");
    let more = Limits { requests: per_minute(2), ..Limits::default() };
    admission.reload(&Config { keys: vec![key("bob", more), alice], ..Config::default() });
    assert_eq!(admission.admit(&bearer("sk-new"), Route::Chat).unwrap_err().reason(), "requests");
    assert_eq!(admission.admit(&bearer("sk-alice"), Route::Chat).unwrap().label(), ANONYMOUS);
    assert_eq!(admission.admit(&bearer("sk-bob"), Route::Chat).unwrap().label(), "bob");
}

#[test]
fn limit_of_a_caller_is_shown_while_the_settings_have_it() {
    let limits = Limits { requests: per_minute(30), tokens: per_minute(1200), ..Limits::default() };
    let keys = vec![key("alice", limits), key("bob", Limits::default())];
    let mut config = Config { require_key: true, keys, ..Config::default() };
    let (admission, registry) = admission(&config);
    assert!(shows(&registry, r#"caller_limit_per_second{caller="alice",kind="requests"} 0.5"#));
    assert!(shows(&registry, r#"caller_limit_per_second{caller="alice",kind="tokens"} 20"#));
    config.keys = vec![key("bob", Limits { requests: per_minute(60), ..Limits::default() })];
    admission.reload(&config);
    assert!(shows(&registry, r#"caller_limit_per_second{caller="bob",kind="requests"} 1"#));
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("streamgauge_caller_limit")).count(), 1, "{text}");
}

#[test]
fn unknown_keys_leave_no_state_behind() {
    let limits = Limits { requests: per_minute(u32::MAX), ..Limits::default() };
    let config = Config { anonymous: limits, keys: vec![key("alice", limits)], ..Config::default() };
    let (admission, registry) = admission(&config);
    let children = || registry.gather().iter().map(|family| family.get_metric().len()).sum::<usize>();
    let before = children();
    for number in 0..100_000_u32 {
        let headers = bearer(&number.to_string());
        if number < 1000 {
            let permit = admission.admit(&headers, Route::Chat).unwrap();
            permit.charge(&Charge { outcome: "complete", content_records: 1, ..Charge::default() });
        } else {
            drop(admission.admit(&headers, Route::Chat));
        }
    }
    assert_eq!(children(), before);
    assert_eq!(Arc::strong_count(&admission.known().anonymous), 1, "no permit is kept");
}

#[test]
fn callers_beyond_label_limit_share_a_label() {
    let keys = (0..=MAX_CALLERS).map(|number| key(&format!("k{number}"), Limits::default())).collect();
    let (admission, _) = admission(&Config { keys, ..Config::default() });
    let label = |key: &str| admission.admit(&bearer(key), Route::Chat).unwrap().label().to_owned();
    assert_eq!((label("sk-k63"), label("sk-k64")), ("k63".to_owned(), "other".to_owned()));
}

#[test]
fn key_is_never_printed() {
    let (admission, _) =
        admission(&Config { keys: vec![key("alice", Limits::default())], ..Config::default() });
    let printed = format!("{admission:?} {:?}", admission.admit(&bearer("sk-alice"), Route::Chat));
    assert!(!printed.contains("sk-alice") && printed.contains("Digest(***)"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn estimated_prompt_is_charged_but_not_counted_in_metrics() {
    let limits = Limits { tokens: per_minute(1_000), ..Limits::default() };
    let (admission, registry) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    permit.charge(&Charge {
        outcome: "client_abort",
        prompt_estimate: 400,
        content_records: 9,
        ..Charge::default()
    });
    assert_eq!(permit.allowances().tokens.unwrap().remaining, 591);
    let usage = Usage { prompt_tokens: Some(10), output_tokens: Some(1), ..Usage::default() };
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    permit.charge(&Charge { outcome: "complete", usage, prompt_estimate: 400, ..Charge::default() });
    assert_eq!(permit.allowances().tokens.unwrap().remaining, 580, "the reported count is charged");
    assert!(shows(&registry, "caller_tokens_total{caller=\"alice\",kind=\"prompt\"} 10"));
}

#[tokio::test(start_paused = true)]
async fn absurd_token_count_locks_no_caller_out() {
    let limits = Limits { tokens: per_minute(1_000), ..Limits::default() };
    let (admission, _) = admission(&Config { keys: vec![key("alice", limits)], ..Config::default() });
    let permit = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap();
    let usage = Usage { prompt_tokens: Some(1 << 63), output_tokens: Some(1 << 63), ..Usage::default() };
    let duration = Duration::from_millis(50);
    permit.charge(&Charge {
        outcome: "complete",
        usage,
        context: Some(4_096),
        duration,
        ..Charge::default()
    });
    let wait = admission.admit(&bearer("sk-alice"), Route::Chat).unwrap_err().retry_after().unwrap();
    assert!(wait < 15 * 60, "{wait} s for 4,096 and 10,000 tokens");
}

/// `openwebui` names its users in a header field, and `alice` does not.
fn with_users(limits: Limits) -> Config {
    let caller_header =
        CallerHeader { name: http::HeaderName::from_static("x-user"), keys: vec!["openwebui".to_owned()] };
    let keys = vec![key("openwebui", limits), key("alice", limits)];
    Config { keys, caller_header: Some(caller_header), ..Config::default() }
}

fn user(key: &str, user: &str) -> HeaderMap {
    let mut headers = bearer(key);
    headers.insert("x-user", HeaderValue::from_str(user).unwrap());
    headers
}

fn label_of(admission: &Admission, headers: &HeaderMap) -> String {
    admission.admit(headers, Route::Chat).unwrap().label().to_owned()
}

#[test]
fn user_is_a_caller_only_if_a_trusted_key_names_it() {
    let (admission, registry) = admission(&with_users(Limits::default()));
    assert_eq!(label_of(&admission, &user("sk-openwebui", "ada@example.org")), "openwebui/ada@example.org");
    assert_eq!(label_of(&admission, &user("sk-alice", "ada")), "alice");
    assert_eq!(label_of(&admission, &user("sk-unknown", "ada")), ANONYMOUS);
    assert_eq!(label_of(&admission, &bearer("sk-openwebui")), "openwebui");
    let line = |caller: &str| format!("caller_requests_total{{caller=\"{caller}\",outcome=\"complete\"}} 0");
    assert!(
        shows(&registry, &line("openwebui/ada@example.org")) && !shows(&registry, &line("openwebui/ada"))
    );
}

#[test]
fn value_that_is_no_valid_name_belongs_to_the_key_and_is_not_kept() {
    let (admission, _) = admission(&with_users(Limits::default()));
    for value in ["", " ", "a b", "a/b", "a\"b", "a{b}", "Ada%20Byron", &"a".repeat(64), "sk\tx"] {
        assert_eq!(label_of(&admission, &user("sk-openwebui", value)), "openwebui", "{value:?}");
    }
    let mut two = user("sk-openwebui", "ada");
    two.append("x-user", HeaderValue::from_static("bob"));
    assert_eq!(label_of(&admission, &two), "openwebui");
    let mut bytes = bearer("sk-openwebui");
    bytes.insert("x-user", HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(label_of(&admission, &bytes), "openwebui");
    assert_eq!(admission.users().labels().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_key_hold_for_each_user_and_survive_a_reload() {
    let limits = Limits { requests: per_minute(2), max_streams: Some(3), weight: 7, ..Limits::default() };
    let config = with_users(limits);
    let (admission, _) = admission(&config);
    for name in ["ada", "bob"] {
        for _ in 0..2 {
            let permit = admission.admit(&user("sk-openwebui", name), Route::Chat).unwrap();
            assert_eq!(permit.caller(), format!("openwebui/{name}"));
            assert_eq!((permit.terms().max_streams, permit.terms().weight), (Some(3), 7));
        }
        let refusal = admission.admit(&user("sk-openwebui", name), Route::Chat).unwrap_err();
        assert_eq!(refusal.reason(), "requests", "{name}");
    }
    assert_eq!(admission.reload(&config), [""; 0]);
    let refusal = admission.admit(&user("sk-openwebui", "ada"), Route::Chat).unwrap_err();
    assert_eq!(refusal.reason(), "requests", "the state of the limit stays");
    let more = with_users(Limits { requests: per_minute(50), ..limits });
    admission.reload(&more);
    assert!(admission.admit(&user("sk-openwebui", "ada"), Route::Chat).is_ok());
}

#[test]
fn user_loses_its_series_when_its_key_is_trusted_no_longer() {
    let (admission, registry) = admission(&with_users(Limits::default()));
    let running = admission.admit(&user("sk-openwebui", "ada"), Route::Chat).unwrap();
    let mut config = with_users(Limits::default());
    config.caller_header = None;
    assert_eq!(admission.reload(&config), ["openwebui/ada"]);
    running.charge(&Charge { outcome: "complete", ..Charge::default() });
    assert!(shows(&registry, "caller_requests_total{caller=\"openwebui\",outcome=\"complete\"} 1"));
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(!text.contains("ada"), "{text}");
    assert_eq!(label_of(&admission, &user("sk-openwebui", "ada")), "openwebui");
}

#[tokio::test(start_paused = true)]
async fn labels_of_any_number_of_users_are_bounded() {
    let (admission, registry) = admission(&with_users(Limits::default()));
    let series = || registry.gather().iter().map(|family| family.get_metric().len()).sum::<usize>();
    for number in 0..64 {
        let name = format!("u{number}");
        assert_eq!(label_of(&admission, &user("sk-openwebui", &name)), format!("openwebui/{name}"));
    }
    let full = series();
    let running = admission.admit(&user("sk-openwebui", "u0"), Route::Chat).unwrap();
    for number in 64..5_000 {
        assert_eq!(label_of(&admission, &user("sk-openwebui", &format!("u{number}"))), "openwebui");
    }
    assert_eq!(series(), full);
    tokio::time::advance(Duration::from_secs(3600)).await;
    // The user without a running request that has been idle for longest gives its label away.
    assert_eq!(label_of(&admission, &user("sk-openwebui", "new")), "openwebui/new");
    assert_eq!(running.label(), "openwebui/u0");
    assert_eq!((admission.users().labels().count(), series()), (64, full));
}
