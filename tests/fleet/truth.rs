//! A fleet admits what one sidecar would admit.

use std::time::Duration;

use streamgauge::admission::Limits;
use tokio::time::{Instant, sleep};

use crate::{
    fleet::{Fleet, alice, quota, streams},
    redis::Redis,
};

/// The statuses 200 and 429 of so many requests at each sidecar, all at once.
async fn at_once(fleet: &Fleet, each: usize) -> (usize, usize) {
    let requests = fleet.all.iter().flat_map(|one| std::iter::repeat_n(one.clone(), each));
    let running: Vec<_> = requests.map(|one| tokio::spawn(async move { one.version().await.0 })).collect();
    let (mut admitted, mut denied) = (0, 0);
    for one in running {
        match one.await.unwrap() {
            200 => admitted += 1,
            429 => denied += 1,
            other => panic!("{other}"),
        }
    }
    (admitted, denied)
}

/// Eight sidecars with one key of 100 requests/min get 2,000 requests at once, and then more of them for so long.
async fn admit_the_burst_and_then_the_rate(until: Duration) {
    let redis = Redis::start(&[]).await;
    let limits = Limits { requests: Some(quota(100, 60)), ..Limits::default() };
    let fleet = Fleet::start(8, &[redis.server()], &[alice(limits)], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let began = Instant::now();
    let (mut admitted, denied) = at_once(&fleet, 250).await;
    let by_rate = |since: Instant| (since.elapsed().as_secs_f64() * 100.0 / 60.0) as usize;
    assert_eq!(admitted + denied, 2000);
    assert!((100..=100 + by_rate(began)).contains(&admitted), "{admitted} in {:?}", began.elapsed());
    let (burst, took) = (admitted, began.elapsed());
    // The rest of the time the rate alone admits, whatever the sidecars ask.
    while began.elapsed() < until {
        admitted += at_once(&fleet, 5).await.0;
        sleep(Duration::from_millis(50)).await;
    }
    let most = 100 + by_rate(began);
    assert!(admitted <= most && admitted + 2 >= most, "{admitted} of {most} in {:?}", began.elapsed());
    // A sidecar that knows that the key is used up does not ask again before it can be admitted.
    let calls = redis.calls("evalsha").await;
    let intervals = u64::try_from(by_rate(began)).unwrap() + 1;
    let settling = began.elapsed().as_millis() as u64 / 100 + 8;
    assert!(calls <= 8 * (20 + intervals + settling), "{calls} calls for {intervals} denied intervals");
    crate::figures::print(&format!(
        "{burst} of 2,000 admitted in {took:?}, {admitted} of at most {most} in {:?}, with {calls} calls",
        began.elapsed()
    ));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn eight_sidecars_admit_the_burst_of_a_key_and_then_its_rate() {
    admit_the_burst_and_then_the_rate(Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh, and two minutes"]
async fn eight_sidecars_admit_the_burst_of_a_key_and_then_its_rate_for_two_minutes() {
    admit_the_burst_and_then_the_rate(Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn tokens_of_one_sidecar_are_owed_at_every_sidecar() {
    let redis = Redis::start(&[]).await;
    let limits = Limits { tokens: Some(quota(20, 3600)), ..Limits::default() };
    let fleet = Fleet::start(3, &[redis.server()], &[alice(limits)], streams(0.05), |_| ()).await;
    fleet.shares().await;
    // 10 tokens and the prompt each, so that the third one at the latest finds a debt.
    let mut admitted = 0;
    while fleet.all[0].generate().await == 200 {
        admitted += 1;
        // The charges are sent every 100 ms.
        sleep(Duration::from_millis(300)).await;
    }
    assert!((1..=2).contains(&admitted), "{admitted}");
    for one in &fleet.all {
        assert_eq!(one.generate().await, 429);
        assert_eq!(one.value("shared_charges_lost_total", &[]), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn requests_at_a_high_rate_cost_at_most_a_tenth_more_calls_than_requests() {
    let redis = Redis::start(&[]).await;
    let limits = Limits { requests: Some(quota(1_000_000, 1)), ..Limits::default() };
    let fleet = Fleet::start(1, &[redis.server()], &[alice(limits)], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let before = redis.calls("evalsha").await;
    for _ in 0..600 {
        assert_eq!(fleet.all[0].version().await.0, 200);
    }
    let calls = redis.calls("evalsha").await - before;
    assert!(calls <= 660, "{calls} calls for 600 requests");
}
