//! What shared limits cost.

use std::io::{self, Write};

use streamgauge::admission::Limits;
use tokio::time::Instant;

use crate::{
    fleet::{Fleet, One, alice, quota, streams},
    redis::Redis,
};

/// Shows figures, for the documentation.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The times of requests one after the other, sorted.
async fn times(one: &One, count: usize) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..count {
        let (status, took) = one.version().await;
        assert_eq!(status, 200);
        times.push(took.as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh, and measures"]
async fn figures_of_admission_by_the_store() {
    let redis = Redis::start(&[]).await;
    let limits = Limits { requests: Some(quota(1_000_000, 1)), ..Limits::default() };
    let shared = Fleet::start(1, &[redis.server()], &[alice(limits)], streams(0.1), |_| ()).await;
    shared.shares().await;
    let alone = Fleet::start(1, &[redis.server()], &[alice(Limits::default())], streams(0.1), |_| ()).await;
    for fleet in [&shared, &alone] {
        times(&fleet.all[0], 300).await;
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        with.extend(times(&shared.all[0], 200).await);
        without.extend(times(&alone.all[0], 200).await);
    }
    with.sort_by(f64::total_cmp);
    without.sort_by(f64::total_cmp);
    let at = |times: &[f64], part: f64| times[(times.len() as f64 * part) as usize];
    for part in [0.5, 0.99] {
        let (with, without) = (at(&with, part), at(&without, part));
        print(&format!(
            "p{:.0}: {with:.3} ms shared, {without:.3} ms alone, {:.3} ms more",
            part * 100.0,
            with - without
        ));
    }
    // Many requests at once, by four sidecars.
    let fleet = Fleet::start(4, &[redis.server()], &[alice(limits)], streams(0.1), |_| ()).await;
    let (began, calls) = (Instant::now(), redis.calls("evalsha").await);
    let running: Vec<_> = (0..64)
        .map(|at| {
            let one = fleet.all[at % 4].clone();
            tokio::spawn(async move { times(&one, 100).await })
        })
        .collect();
    for one in running {
        one.await.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let calls = redis.calls("evalsha").await - calls;
    print(&format!(
        "{:.0} requests/s by four sidecars, {:.2} calls a request",
        6400.0 / seconds,
        calls as f64 / 6400.0
    ));
}
