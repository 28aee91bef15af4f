//! What a fleet admits beyond its limits when its store fails, in each way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use streamgauge::admission::{Digest, Key, Limits};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    fault::{DEADLINE, FAULTS, admitted, heal, inject},
    fleet::{Fleet, One, alice, quota, streams},
    redis::{PATIENCE, Redis},
    wait::until_async,
};

/// The burst of alice, whose rate gives nothing back during a test, and the streams of bob.
const BURST: usize = 20;
const STREAMS: u64 = 2;

fn keys() -> [Key; 2] {
    let requests = Limits { requests: Some(quota(BURST as u32, 24 * 3600)), ..Limits::default() };
    let streams = Limits { max_streams: Some(STREAMS as usize), ..Limits::default() };
    [alice(requests), Key { name: "bob".to_owned(), digest: Digest::of(b"bob"), ..alice(streams) }]
}

/// Generates without a pause, until it is told to stop.
fn busy(one: &Arc<One>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (one, stop) = (one.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.load(Relaxed) {
            assert_eq!(one.generate_by("bob").await, 200);
        }
    })
}

async fn in_mode(fleet: &Fleet, mode: &str) {
    for one in &fleet.all {
        one.until_mode(mode).await;
    }
}

/// What each sidecar admits of so many requests.
async fn of_all(fleet: &Fleet, times: usize) -> usize {
    let mut sum = 0;
    for one in &fleet.all {
        sum += admitted(one, times).await;
    }
    sum
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn overshoot_of_each_failure_is_within_its_documented_bound() {
    for fault in FAULTS {
        let mut redis = Redis::start(&["--enable-debug-command", "yes"]).await;
        let change = |config: &mut streamgauge::store::Config| config.deadline = DEADLINE;
        let fleet = Fleet::start(2, &[redis.server()], &keys(), streams(0.2), change).await;
        fleet.shares().await;
        let before = of_all(&fleet, 3).await;
        assert_eq!(before, 6, "{fault}");
        let stop = Arc::new(AtomicBool::new(false));
        let running: Vec<_> = (0..6).map(|at| busy(&fleet.all[at % 2], &stop)).collect();
        until_async("all streams run", async || fleet.truth.max_decoding() >= STREAMS).await;

        inject(fault, &mut redis).await;
        let mut during = 0;
        for one in &fleet.all {
            until_async("the sidecar applies its share", async || {
                during += admitted(one, 1).await;
                one.value("shared_mode", &[("mode", "local")]) >= 1.0
            })
            .await;
        }
        during += of_all(&fleet, BURST).await;
        assert!(during <= BURST, "{fault}: {during} by the shares of the sidecars, whose sum is the burst");
        heal(fault, &mut redis).await;
        in_mode(&fleet, "shared").await;
        let after = of_all(&fleet, BURST).await;
        stop.store(true, Relaxed);
        for one in running {
            timeout(PATIENCE, one).await.expect("no generation waits for ever").unwrap();
        }

        // A store that was killed has lost its state. A call that was too late may have taken from a store that lives.
        let left = if fault == "killed" { BURST } else { BURST - before };
        assert!(after <= left && after + 8 >= left, "{fault}: {after} of {left} after it");
        let decoding = fleet.truth.max_decoding();
        // The streams of the store's last word, and those of the shares.
        assert!(decoding <= 2 * STREAMS, "{fault}: {decoding} streams at once");
        crate::figures::print(&format!(
            "{fault}: {before} requests before, {during} during and {after} after it, of a burst of {BURST}; {decoding} streams at once, of {STREAMS}"
        ));
    }
}
