//! What a fleet does when its store fails in each way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::process::Signal;
use streamgauge::{
    admission::Limits,
    store::{OnFailure, Secret, Server},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use crate::{
    fleet::{Fleet, One, alice, policy, quota, streams},
    log::Log,
    redis::Redis,
    wait::until_async,
};

/// A change of the settings of the store.
type Change = fn(&mut streamgauge::store::Config);

/// The deadline of these tests.
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);
/// What a request may take beside the deadline on a machine that builds at the same time.
pub(crate) const SLACK: Duration = Duration::from_millis(900);

/// The longest time until a store that answers again decides again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(1);
/// The ways in which a store fails.
pub(crate) const FAULTS: [&str; 5] = ["SIGSTOP", "killed", "OOM", "READONLY", "slow"];

/// Lets a store with `--enable-debug-command yes` fail.
pub(crate) async fn inject(fault: &str, redis: &mut Redis) {
    match fault {
        "SIGSTOP" => redis.signal(Signal::STOP),
        "killed" => redis.kill(),
        "OOM" => drop(redis.command("CONFIG SET maxmemory 1").await),
        "READONLY" => drop(redis.command("REPLICAOF 127.0.0.1 1").await),
        _ => {
            // Each answer takes longer than the deadline while the server sleeps.
            let mut stream = tokio::net::UnixStream::connect(redis.socket()).await.unwrap();
            stream.write_all(b"DEBUG SLEEP 2\r\n").await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 16]).await;
            });
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Lets it work again.
pub(crate) async fn heal(fault: &str, redis: &mut Redis) {
    match fault {
        "SIGSTOP" => redis.signal(Signal::CONT),
        "killed" => redis.restart().await,
        "OOM" => drop(redis.command("CONFIG SET maxmemory 0").await),
        "READONLY" => drop(redis.command("REPLICAOF NO ONE").await),
        // It answers when it has slept.
        _ => drop(redis.command("PING").await),
    }
}

pub(crate) fn plenty() -> Limits {
    Limits { requests: Some(quota(100_000, 1)), ..Limits::default() }
}

async fn fleet_on(redis: &Redis) -> Fleet {
    let change = |config: &mut streamgauge::store::Config| config.deadline = DEADLINE;
    let fleet = Fleet::start(2, &[redis.server()], &[alice(plenty())], streams(0.1), change).await;
    fleet.shares().await;
    fleet
}

/// Asks until the store decides no more. No request waits longer than the deadline. Returns the longest time.
pub(crate) async fn falls_back(one: &One) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let (status, took) = one.version().await;
        assert_eq!(status, 200, "the local share admits it");
        assert!(took < DEADLINE + SLACK, "{took:?}");
        longest = longest.max(took);
    }
    one.until_mode("local").await;
    longest
}

/// The requests of so many that are admitted.
pub(crate) async fn admitted(one: &One, times: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..times {
        admitted += usize::from(one.version().await.0 == 200);
    }
    admitted
}

/// The longest time of 20 requests, all of which are admitted. None waits for the store.
pub(crate) async fn longest_of_20(one: &One) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let (status, took) = one.version().await;
        assert!(status == 200 && took < SLACK, "{status} after {took:?}");
        longest = longest.max(took);
    }
    longest
}

/// Waits until the store decides again. Returns the time.
pub(crate) async fn recovers(one: &One) -> Duration {
    let began = Instant::now();
    one.until_mode("shared").await;
    let took = began.elapsed();
    let before = one.value("shared_decisions_total", &[("source", "store")]);
    assert_eq!(one.version().await.0, 200);
    assert!(one.value("shared_decisions_total", &[("source", "store")]) > before);
    took
}

/// The log has one line for the failure and one for the recovery of each of two sidecars.
pub(crate) fn one_line_a_change(log: &Log, what: &str) {
    let lines = log.shared();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let (failed, restored) = (count("shared limits are not in force"), count("shared limits are in force"));
    assert!(failed <= 2 && restored == failed && failed > 0, "{what}: {lines:#?}");
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn no_request_waits_for_a_store_that_fails_and_its_recovery_takes_a_second() {
    let log = Log::follow();
    let mut redis = Redis::start(&["--enable-debug-command", "yes"]).await;
    let fleet = fleet_on(&redis).await;
    let one = &fleet.all[0];
    assert_eq!(log.shared().len(), 2, "each sidecar tells that the limits are in force");
    let mut measured = Vec::new();
    for fault in FAULTS {
        inject(fault, &mut redis).await;
        let longest = falls_back(one).await;
        let ready = one.page("/readyz").await;
        assert!(ready.starts_with("ready; shared limits are not in force, local limits are: "), "{ready}");
        heal(fault, &mut redis).await;
        let recovery = recovers(one).await;
        fleet.all[1].until_mode("shared").await;
        assert!(recovery < RECOVERY + SLACK, "{fault}: {recovery:?}");
        one_line_a_change(&log, fault);
        assert_eq!(one.page("/readyz").await, "ready\n");
        measured.push(format!("{fault}: longest request {longest:?}, recovery {recovery:?}"));
    }
    crate::figures::print(&measured.join("\n"));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn scripts_that_the_store_has_forgotten_are_sent_again() {
    let log = Log::follow();
    let redis = Redis::start(&[]).await;
    let fleet = fleet_on(&redis).await;
    log.shared();
    redis.command("SCRIPT FLUSH").await;
    let before = fleet.all[0].value("shared_decisions_total", &[("source", "store")]);
    for _ in 0..3 {
        assert_eq!(fleet.all[0].version().await.0, 200);
    }
    let after = fleet.all[0].value("shared_decisions_total", &[("source", "store")]);
    assert_eq!((after - before, log.shared()), (3.0, Vec::<String>::new()));
    assert!(redis.calls("eval").await > 0);
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn wrong_settings_of_the_store_are_told_once() {
    let redis = Redis::start(&["--requirepass", "right"]).await;
    let cases: [(&str, Change, &str); 4] = [
        ("no password", |_| (), "refused the password: correct shared.password_file"),
        (
            "a wrong password",
            |config| config.password = Some(Secret::new("wrong")),
            "refused the password: correct shared.password_file",
        ),
        (
            "a wrong database",
            |config| (config.password, config.database) = (Some(Secret::new("right")), 999),
            "refused the database: correct shared.database",
        ),
        (
            "the right password",
            |config| config.password = Some(Secret::new("right")),
            "shared limits are in force",
        ),
    ];
    for (what, change, said) in cases {
        let log = Log::follow();
        let fleet = Fleet::start(1, &[redis.server()], &[alice(plenty())], streams(0.1), change).await;
        // Five trials of the store.
        sleep(Duration::from_millis(1300)).await;
        let longest = longest_of_20(&fleet.all[0]).await;
        let lines = log.shared();
        assert!(lines.len() == 1 && lines[0].contains(said), "{what}: {lines:#?}");
        crate::figures::print(&format!("{what}: longest request {longest:?}"));
        assert!(!lines[0].contains("wrong\"") && !lines[0].contains("right\""), "{lines:#?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn policy_decides_while_there_is_no_store() {
    let redis = Redis::start(&[]).await;
    let none = [streamgauge::store::Server::Unix(redis.socket().with_extension("none"))];
    let limits = Limits { requests: Some(quota(10, 3600)), ..Limits::default() };
    for (on_failure, statuses) in
        [(OnFailure::Local, [10, 5, 0]), (OnFailure::Open, [15, 0, 0]), (OnFailure::Closed, [0, 0, 15])]
    {
        let fleet = Fleet::start(1, &none, &[alice(limits)], streams(0.1), policy(on_failure)).await;
        let mut seen = [0; 3];
        for _ in 0..15 {
            match fleet.all[0].version().await.0 {
                200 => seen[0] += 1,
                429 => seen[1] += 1,
                503 => seen[2] += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!(seen, statuses, "{on_failure:?}");
        let decisions = fleet.all[0].value("shared_decisions_total", &[("source", on_failure.label())]);
        assert_eq!(decisions, 15.0);
        // A key may have its own policy.
        let mut key = alice(limits);
        key.on_failure = Some(OnFailure::Open);
        let fleet = Fleet::start(1, &none, &[key], streams(0.1), policy(on_failure)).await;
        for _ in 0..15 {
            assert_eq!(fleet.all[0].version().await.0, 200);
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn sidecars_go_to_the_second_server_when_the_first_one_fails() {
    let (mut first, second) = (Redis::start(&[]).await, Redis::start(&[]).await);
    let limits = Limits { requests: Some(quota(20, 3600)), ..Limits::default() };
    let servers = [first.server(), second.server()];
    let fleet = Fleet::start(2, &servers, &[alice(limits)], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let mut used = 0;
    for one in &fleet.all {
        used += admitted(one, 15).await;
    }
    assert_eq!(used, 20);
    first.kill();
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    // The requests in between are decided by the share of each sidecar, which is half of the burst.
    for one in &fleet.all {
        until_async("the failure is seen", async || {
            let (status, took) = one.version().await;
            (used, longest) = (used + usize::from(status == 200), longest.max(took));
            one.value("shared_failures_total", &[]) >= 1.0
        })
        .await;
        one.until_mode("shared").await;
    }
    let took = began.elapsed();
    assert!(took < RECOVERY + SLACK, "{took:?}");
    // The second server knows nothing, so that one more burst is admitted, and not more.
    for one in &fleet.all {
        used += admitted(one, 25).await;
    }
    assert!((40..=60).contains(&used), "{used}");
    crate::figures::print(&format!(
        "the first of two servers killed: longest {longest:?}, both sidecars at the second one after {took:?}"
    ));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn value_of_another_program_under_a_key_concerns_its_caller_only() {
    let log = Log::follow();
    let redis = Redis::start(&[]).await;
    redis.command("SET {streamgauge}:rates:alice something").await;
    let fleet = Fleet::start(1, &[redis.server()], &[alice(plenty())], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let longest = longest_of_20(&fleet.all[0]).await;
    fleet.all[0].until_mode("shared").await;
    let local = fleet.all[0].value("shared_decisions_total", &[("source", "local")]);
    let lines = log.shared();
    let told = lines.iter().filter(|line| line.contains("a value of another program")).count();
    assert!((local, told) == (20.0, 1), "{lines:#?}");
    redis.command("DEL {streamgauge}:rates:alice").await;
    let began = Instant::now();
    until_async("the store decides for the caller again", async || {
        assert_eq!(fleet.all[0].version().await.0, 200);
        fleet.all[0].value("shared_decisions_total", &[("source", "store")]) >= 1.0
    })
    .await;
    let restored = began.elapsed();
    crate::figures::print(&format!(
        "a foreign key of a caller: longest {longest:?}, restored after {restored:?}"
    ));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn value_of_another_program_under_the_key_of_the_sidecars_is_told_once() {
    let log = Log::follow();
    let redis = Redis::start(&[]).await;
    redis.command("SET {streamgauge}:sidecars something").await;
    let fleet = Fleet::start(1, &[redis.server()], &[alice(plenty())], streams(0.1), |_| ()).await;
    let one = &fleet.all[0];
    one.until("shared_failures_total", &[("reason", "foreign_key")], 3.0).await;
    let longest = longest_of_20(one).await;
    let lines = log.shared();
    assert!(lines.len() == 1 && lines[0].contains("choose another shared.prefix"), "{lines:#?}");
    let ready = one.page("/readyz").await;
    assert!(ready.contains("local limits are: ") && ready.contains("shared.prefix"), "{ready}");
    redis.command("DEL {streamgauge}:sidecars").await;
    let restored = recovers(one).await;
    crate::figures::print(&format!("a foreign key of all: longest {longest:?}, restored after {restored:?}"));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn sidecars_with_different_rates_apply_their_own_and_tell_once() {
    let log = Log::follow();
    let redis = Redis::start(&[]).await;
    let with = |count| Limits { requests: Some(quota(count, 3600)), ..Limits::default() };
    let small = Fleet::start(1, &[redis.server()], &[alice(with(5))], streams(0.1), |_| ()).await;
    let large = Fleet::start(1, &[redis.server()], &[alice(with(10))], streams(0.1), |_| ()).await;
    for fleet in [&small, &large] {
        fleet.all[0].until_mode("shared").await;
    }
    for _ in 0..3 {
        assert_eq!(small.all[0].version().await.0, 200);
        assert_eq!(large.all[0].version().await.0, 200);
    }
    let lines = log.shared();
    let told = lines.iter().filter(|line| line.contains("another rate")).count();
    assert!((1..=2).contains(&told), "{lines:#?}");
}

/// Whole generations of a caller with `max_streams`, none of which waits for the store.
async fn generations(one: &One, count: usize) {
    for _ in 0..count {
        let answered = tokio::time::timeout(Duration::from_secs(5), one.generate()).await;
        assert_eq!(answered.expect("no generation waits for the store"), 200);
        // A trial of the store comes between them.
        sleep(Duration::from_millis(300)).await;
    }
}

fn two_streams() -> Limits {
    Limits { max_streams: Some(2), ..plenty() }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn value_of_another_program_under_the_leases_of_a_caller_concerns_it_only() {
    let log = Log::follow();
    let redis = Redis::start(&[]).await;
    redis.command("SET {streamgauge}:leases:alice something").await;
    let fleet = Fleet::start(1, &[redis.server()], &[alice(two_streams())], streams(0.1), |_| ()).await;
    fleet.shares().await;
    for _ in 0..3 {
        generations(&fleet.all[0], 1).await;
        // A request that takes no lease is decided by the store.
        assert_eq!(fleet.all[0].version().await.0, 200);
    }
    fleet.all[0].until_mode("shared").await;
    let lines = log.shared();
    let told = lines.iter().filter(|line| line.contains("a value of another program")).count();
    assert!(told == 1 && lines.len() == 2, "{lines:#?}");
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn generations_do_not_wait_for_a_store_that_refuses_leases_at_each_trial() {
    let redis = Redis::start(&[]).await;
    let fleet = Fleet::start(1, &[redis.server()], &[alice(two_streams())], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let one = &fleet.all[0];
    assert_eq!(one.generate().await, 200);
    redis.command("ACL SETUSER default -hset -hdel").await;
    generations(one, 6).await;
    one.until_mode("local").await;
    redis.command("ACL SETUSER default +@all").await;
    recovers(one).await;
    generations(one, 2).await;
}

/// A socket before that of a store, whose answers come so many milliseconds late.
fn slowed(store: std::path::PathBuf, socket: &std::path::Path) -> Arc<AtomicU64> {
    let late = Arc::new(AtomicU64::new(0));
    let (listener, shared) = (tokio::net::UnixListener::bind(socket).unwrap(), late.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, late) = (tokio::net::UnixStream::connect(&store).await.unwrap(), shared.clone());
            tokio::spawn(async move {
                let ((mut asks, mut hears), (mut tells, mut takes)) =
                    (client.into_split(), server.into_split());
                let there = tokio::io::copy(&mut asks, &mut takes);
                let back = async {
                    let mut piece = [0; 4096];
                    while let Ok(count @ 1..) = tells.read(&mut piece).await {
                        sleep(Duration::from_millis(late.load(Relaxed))).await;
                        hears.write_all(&piece[..count]).await?;
                    }
                    std::io::Result::Ok(())
                };
                let _ = tokio::join!(there, back);
            });
        }
    });
    late
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn store_that_settles_in_time_and_admits_too_late_has_failed() {
    let (redis, folder) = (Redis::start(&[]).await, tempfile::tempdir().unwrap());
    let socket = folder.path().join("slow.sock");
    let late = slowed(redis.socket(), &socket);
    let change = |config: &mut streamgauge::store::Config| config.deadline = DEADLINE;
    let servers = [Server::Unix(socket)];
    let fleet = Fleet::start(1, &servers, &[alice(two_streams())], streams(0.05), change).await;
    fleet.shares().await;
    // Settling may take 500 ms.
    late.store(200, Relaxed);
    generations(&fleet.all[0], 6).await;
    fleet.all[0].until_mode("local").await;
    late.store(0, Relaxed);
    recovers(&fleet.all[0]).await;
}
