//! A Redis Cluster, whose node with the slot of the prefix decides.

use std::time::Duration;

use streamgauge::admission::Limits;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    fault::plenty,
    fleet::{Fleet, alice, quota, streams},
    log::Log,
    redis::{PATIENCE, Redis},
    server::free_port,
};

/// A node that has all slots or none. A cluster needs a port, also if no other node connects to it.
async fn node(has_slots: bool) -> Redis {
    let (port, bus) = (free_port().to_string(), free_port().to_string());
    let arguments = [
        "--port",
        &port,
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
    ];
    let redis = Redis::start(&arguments).await;
    if has_slots {
        redis.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
        let ready = async {
            while !redis.command("CLUSTER INFO").await.contains("cluster_state:ok") {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("it has all slots");
    }
    redis
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn node_of_a_cluster_with_the_slot_decides_and_a_node_without_it_is_passed_over() {
    let (with, without) = (node(true).await, node(false).await);
    let limits = Limits {
        requests: Some(quota(6, 3600)),
        tokens: Some(quota(1000, 3600)),
        max_streams: Some(2),
        ..Limits::default()
    };
    let servers = [without.server(), with.server()];
    let fleet = Fleet::start(2, &servers, &[alice(limits)], streams(0.01), |_| ()).await;
    fleet.shares().await;
    let mut admitted = 0;
    for one in fleet.all.iter().cycle().take(12) {
        admitted += usize::from(one.generate().await == 200);
    }
    assert_eq!(admitted, 6, "requests, tokens and streams are on one node");
    for one in &fleet.all {
        assert_eq!(one.value("shared_decisions_total", &[("source", "local")]), 0.0);
    }
    // Every key has the hash tag of the prefix, or the node would have refused the scripts.
    let keys = with.command("KEYS *").await;
    let names: Vec<_> = keys.lines().filter(|line| line.contains("streamgauge")).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("{streamgauge}:")), "{keys}");

    let before = fleet.all[0].value("shared_decisions_total", &[("source", "store")]);
    // The slots move to the other node, without the keys: its rates start full.
    with.command("CLUSTER DELSLOTSRANGE 0 16383").await;
    without.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    let moved = async {
        while fleet.all[0].value("shared_decisions_total", &[("source", "store")]) < before + 1.0 {
            longest = longest.max(fleet.all[0].version().await.1);
            sleep(Duration::from_millis(20)).await;
        }
        for one in &fleet.all {
            while one.value("shared_failures_total", &[]) < 1.0 {
                sleep(Duration::from_millis(5)).await;
            }
            one.until_mode("shared").await;
        }
    };
    timeout(PATIENCE, moved).await.expect("the other node decides");
    let keys = without.command("KEYS *").await;
    assert!(keys.contains("{streamgauge}:sidecars"), "{keys}");
    crate::figures::print(&format!(
        "the other node of a cluster decided after {:?}, longest request {longest:?}",
        began.elapsed()
    ));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn cluster_has_one_database_and_another_one_is_told_once() {
    let (log, node) = (Log::follow(), node(true).await);
    let other = |config: &mut streamgauge::store::Config| config.database = 3;
    let fleet = Fleet::start(1, &[node.server()], &[alice(plenty())], streams(0.1), other).await;
    fleet.all[0].until("shared_failures_total", &[("reason", "refused")], 3.0).await;
    assert_eq!(fleet.all[0].version().await.0, 200);
    let lines = log.shared();
    assert!(
        lines.len() == 1 && lines[0].contains("refused the database: correct shared.database"),
        "{lines:#?}"
    );
}
