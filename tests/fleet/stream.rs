//! `max_streams` of a fleet.

use std::{sync::Arc, time::Duration};

use streamgauge::admission::Limits;
use tokio::time::{Instant, timeout};

use crate::{
    fleet::{Fleet, One, alice, streams},
    redis::{PATIENCE, Redis},
    wait::until_async,
};

fn at_most(streams: usize) -> Limits {
    Limits { max_streams: Some(streams), ..Limits::default() }
}

fn spawn(one: &Arc<One>) -> tokio::task::JoinHandle<u16> {
    let one = one.clone();
    tokio::spawn(async move { one.generate().await })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn a_fleet_never_runs_more_streams_than_max_streams_and_leaves_none_unused() {
    let redis = Redis::start(&[]).await;
    let fleet = Fleet::start(8, &[redis.server()], &[alice(at_most(4))], streams(0.2), |_| ()).await;
    fleet.shares().await;
    let began = Instant::now();
    let running: Vec<_> = (0..48).map(|at| spawn(&fleet.all[at % 8])).collect();
    for one in running {
        assert_eq!(timeout(PATIENCE, one).await.expect("no request waits for ever").unwrap(), 200);
    }
    assert_eq!(fleet.truth.max_decoding(), 4);
    // 12 rounds of 0.2 s. Between two rounds, leases move to other sidecars.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn a_waiting_request_starts_soon_after_another_sidecar_frees_a_lease() {
    let redis = Redis::start(&[]).await;
    let fleet = Fleet::start(2, &[redis.server()], &[alice(at_most(1))], streams(1.0), |_| ()).await;
    fleet.shares().await;
    let first = spawn(&fleet.all[0]);
    until_async("the first request starts", async || fleet.truth.started() > 0).await;
    let second = spawn(&fleet.all[1]);
    assert_eq!(first.await.unwrap(), 200);
    let ended = Instant::now();
    until_async("the second request starts", async || fleet.truth.started() >= 2).await;
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    assert_eq!((second.await.unwrap(), fleet.truth.max_decoding()), (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn a_sidecar_that_is_busy_all_the_time_shares_its_leases() {
    let redis = Redis::start(&[]).await;
    let fleet = Fleet::start(2, &[redis.server()], &[alice(at_most(2))], streams(0.2), |_| ()).await;
    fleet.shares().await;
    let busy: Vec<_> = (0..60).map(|_| spawn(&fleet.all[0])).collect();
    until_async("the first requests start", async || fleet.truth.started() >= 4).await;
    // It would wait 5 s if the other sidecar kept its leases.
    let began = Instant::now();
    assert_eq!(fleet.all[1].generate().await, 200);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for one in busy {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(fleet.truth.max_decoding(), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn leases_of_a_sidecar_that_crashed_expire() {
    let redis = Redis::start(&[]).await;
    let fleet = Fleet::start(2, &[redis.server()], &[alice(at_most(1))], streams(600.0), |_| ()).await;
    fleet.shares().await;
    let first = spawn(&fleet.all[0]);
    until_async("the first request starts", async || fleet.truth.started() > 0).await;
    fleet.all[0].crash();
    first.abort();
    let crashed = Instant::now();
    let second = spawn(&fleet.all[1]);
    until_async("the lease expires", async || fleet.truth.started() >= 2).await;
    let took = crashed.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    crate::figures::print(&format!("the lease of a sidecar that crashed was free after {took:?}"));
    second.abort();
}
