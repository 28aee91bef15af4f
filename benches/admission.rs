//! The cost of admitting a request, with 64 keys that have limits. The target is 2 µs.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{hint::black_box, num::NonZeroU32, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use streamgauge::{
    admission::{Access, Admission, Config, Digest, Key, Limits, Quota},
    protocol::Route,
};

fn key(number: u32) -> String {
    // As long as the keys of OpenAI.
    format!("sk-proj-{number:0>156}")
}

fn admission() -> Admission {
    let quota = Some(Quota::new(NonZeroU32::MAX, Duration::from_secs(1)));
    let limits = Limits { requests: quota, tokens: quota, ..Limits::default() };
    let keys = (0..64).map(|number| Key {
        name: format!("caller{number}"),
        digest: Digest::of(key(number).as_bytes()),
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    });
    let config = Config { keys: keys.collect(), ..Config::default() };
    Admission::register(&prometheus::Registry::new(), &config, &["complete"]).expect("a new registry")
}

fn request(key: &str) -> HeaderMap {
    let value = HeaderValue::try_from(format!("Bearer {key}")).expect("letters and digits");
    [(AUTHORIZATION, value)].into_iter().collect()
}

fn admit(criterion: &mut Criterion) {
    let admission = admission();
    let (last, unknown) = (request(&key(63)), request(&key(64)));
    for (name, headers) in
        [("known_of_64", &last), ("unknown_of_64", &unknown), ("no_key", &HeaderMap::new())]
    {
        criterion.bench_function(&format!("admit/{name}"), |bencher| {
            bencher.iter(|| black_box(admission.admit(black_box(headers), Route::Chat)));
        });
    }
}

criterion_group!(benches, admit);
criterion_main!(benches);
