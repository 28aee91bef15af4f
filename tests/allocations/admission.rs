//! Guesses of keys leave no memory behind.

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use streamgauge::{
    admission::{Access, Admission, Config, Digest, Key, Limits, Quota},
    protocol::Route,
};

use super::counter::kept;

#[test]
fn unknown_keys_take_no_memory() {
    let quota = Some(Quota::new(NonZeroU32::new(60).unwrap(), Duration::from_secs(60)));
    let limits = Limits { requests: quota, tokens: quota, ..Limits::default() };
    let known = Key {
        name: "alice".to_owned(),
        digest: Digest::of(b"sesame"),
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    };
    let config = Config { anonymous: limits, keys: vec![known], ..Config::default() };
    let admission = Admission::register(&prometheus::Registry::new(), &config, &["complete"]).unwrap();
    let guess = |number: u32| {
        let value = HeaderValue::from_str(&format!("Bearer sk-{number}")).unwrap();
        let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
        drop(admission.admit(&headers, Route::Chat));
    };
    guess(0);
    assert_eq!(kept(|| (1..100_000).for_each(guess)), 0);
}
