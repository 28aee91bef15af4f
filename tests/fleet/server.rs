//! The kinds of servers: with TLS, a replica that is promoted, and programs that are no Redis.

use std::{
    fs,
    net::{SocketAddr, TcpListener as Std},
    time::Duration,
};

use streamgauge::{
    admission::{Digest, Key, Limits},
    store::Server,
    tls::{Authorities, Trust},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use crate::{
    authority::Authority,
    fault::{DEADLINE, RECOVERY, SLACK, admitted, falls_back, longest_of_20, one_line_a_change, plenty},
    fleet::{Fleet, One, alice, quota, streams},
    log::Log,
    redis::{PATIENCE, Redis},
    wait::until_async,
};

/// A port of this machine on which no program listens.
pub(crate) fn free_port() -> u16 {
    Std::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn tcp(port: u16, trust: Option<Trust>) -> Server {
    Server::Tcp { url: format!("redis://127.0.0.1:{port}").parse().unwrap(), trust }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn store_with_tls_is_verified_and_decides() {
    let (ours, theirs, folder) = (Authority::new("ours"), Authority::new("theirs"), TempDir::new().unwrap());
    let issued = ours.issue("127.0.0.1");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in [("cert", &issued.cert), ("key", &issued.key), ("ca", &ours.pem())] {
        fs::write(at(name), text).unwrap();
    }
    let port = free_port().to_string();
    let (cert, key, ca) = (at("cert"), at("key"), at("ca"));
    let mut arguments = vec!["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
    arguments.extend(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]);
    let mut redis = Redis::start(&arguments).await;
    let server = |authority: &Authority| {
        let authorities = Authorities::from_pem(authority.pem().as_bytes()).unwrap();
        tcp(port.parse().unwrap(), Some(Trust::only(authorities, None)))
    };
    let log = Log::follow();
    let limits = Limits { requests: Some(quota(5, 3600)), ..Limits::default() };
    let fleet = Fleet::start(2, &[server(&ours)], &[alice(limits)], streams(0.1), |_| ()).await;
    fleet.shares().await;
    let mut admitted = 0;
    for one in fleet.all.iter().cycle().take(12) {
        admitted += usize::from(one.version().await.0 == 200);
    }
    assert_eq!(admitted, 5);
    let lines = log.shared();
    assert!(lines.iter().all(|line| line.contains(&format!("rediss://127.0.0.1:{port}"))), "{lines:#?}");
    redis.kill();
    for one in &fleet.all {
        one.until_mode("local").await;
    }
    redis.restart().await;
    fleet.shares().await;
    drop(fleet);

    // A server that cannot be verified decides nothing, and neither does TLS without TLS.
    for (server, said) in [
        (server(&theirs), "invalid peer certificate: "),
        (tcp(port.parse().unwrap(), None), "cannot connect to redis://127.0.0.1:"),
    ] {
        let log = Log::follow();
        let fleet = Fleet::start(1, &[server], &[alice(plenty())], streams(0.1), |_| ()).await;
        tries(&fleet.all[0], 4).await;
        let longest = longest_of_20(&fleet.all[0]).await;
        crate::figures::print(&format!("{said}: longest request {longest:?}"));
        let lines = log.shared();
        assert!(lines.len() == 1 && lines[0].contains(said), "{said}: {lines:#?}");
    }
}

/// Waits until the sidecar has tried the store in vain so often.
pub(crate) async fn tries(one: &One, times: usize) {
    let tried = async {
        while one.value("shared_failures_total", &[]) < times as f64 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, tried).await.expect("it tries the store again and again");
}

/// Answers each connection with these bytes, after it has read something. Without bytes it only reads.
pub(crate) async fn other_program(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut read = [0; 4096];
                while stream.read(&mut read).await.is_ok_and(|count| count > 0) {
                    if answer.is_empty() {
                        continue;
                    }
                    let written = stream.write_all(answer).await;
                    if written.is_err() || answer.starts_with(b"HTTP") {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn store_that_is_no_redis_is_told_once_and_holds_no_request_up() {
    const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
    const NONSENSE: &[u8] = b"+OK\r\n:7\r\n$-1\r\n*0\r\n+OK\r\n";
    for (what, answer, said) in [
        ("HTTP", HTTP, "does not speak the protocol of Redis: correct shared.url"),
        ("SSH", SSH, "does not speak the protocol of Redis: correct shared.url"),
        ("nonsense", NONSENSE, "does not speak the protocol of Redis: correct shared.url"),
        ("silence", b"", "did not answer within 500 ms"),
    ] {
        let log = Log::follow();
        let server = tcp(other_program(answer).await.port(), None);
        let fleet = Fleet::start(1, &[server], &[alice(plenty())], streams(0.1), |_| ()).await;
        let longest = longest_of_20(&fleet.all[0]).await;
        crate::figures::print(&format!("{what}: longest request {longest:?}"));
        tries(&fleet.all[0], 4).await;
        let lines = log.shared();
        assert!(lines.len() == 1 && lines[0].contains(said), "{what}: {lines:#?}");
        assert!(lines[0].len() < 500, "{what}: {} bytes", lines[0].len());
        let ready = fleet.all[0].page("/readyz").await;
        assert!(ready.starts_with("ready; shared limits are not in force, local limits are: "), "{ready}");
        // The reason of the parser has several lines.
        assert!(ready.lines().count() == 1 && ready.contains(said), "{ready}");
        if !answer.is_empty() {
            assert!(
                lines[0].trim_end().ends_with(')') && ready.trim_end().ends_with(')'),
                "{lines:#?} {ready}"
            );
        }
    }
}

/// The number of keys in the store of this kind.
async fn count(redis: &Redis, kind: &str) -> usize {
    let script = format!("EVAL \"return #redis.call('keys','*:{kind}:*')\" 0");
    redis.command(&script).await.trim().trim_start_matches(':').parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn five_thousand_callers_are_charged_and_give_their_leases_back_also_after_an_outage() {
    const CALLERS: usize = 5_000;
    let mut redis = Redis::start(&[]).await;
    // The debt of a few tokens lasts for minutes.
    let limits = Limits { tokens: Some(quota(100, 3600)), max_streams: Some(2), ..Limits::default() };
    let keys: Vec<_> = (0..CALLERS)
        .map(|at| Key {
            name: format!("caller{at}"),
            digest: Digest::of(format!("key{at}").as_bytes()),
            ..alice(limits)
        })
        .collect();
    let fleet = Fleet::start(1, &[redis.server()], &keys, streams(0.001), |_| ()).await;
    fleet.shares().await;
    let one = fleet.all[0].clone();
    let running: Vec<_> = (0..32)
        .map(|part| {
            let one = one.clone();
            tokio::spawn(async move {
                for at in (part..CALLERS).step_by(32) {
                    assert_eq!(one.generate_by(&format!("key{at}")).await, 200, "caller{at}");
                }
            })
        })
        .collect();
    for part in running {
        part.await.unwrap();
    }
    let settled = async {
        while count(&redis, "leases").await > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, settled).await.expect("every lease is given back");
    assert_eq!(count(&redis, "rates").await, CALLERS);
    assert_eq!(one.value("shared_charges_lost_total", &[]), 0.0);

    // Before the store decides again, all accounts are settled, in calls of a bounded size.
    redis.kill();
    one.until_mode("local").await;
    redis.restart().await;
    let began = Instant::now();
    one.until_mode("shared").await;
    let took = began.elapsed();
    assert!(took < RECOVERY + SLACK, "{took:?}");
    for at in [0, 127, 128, CALLERS - 1] {
        assert_eq!(one.generate_by(&format!("key{at}")).await, 200);
    }
    crate::figures::print(&format!("the store decided for {CALLERS} callers again after {took:?}"));
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn replica_that_is_promoted_decides_with_the_state_of_the_server_that_failed() {
    let (port, log) = (free_port().to_string(), Log::follow());
    let mut first = Redis::start(&["--port", &port, "--repl-diskless-sync-delay", "0"]).await;
    let second = Redis::start(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
    let field = async |server: &Redis, name: &str| {
        let all = server.command("INFO replication").await;
        all.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
    };
    until_async("the replica follows", async || {
        field(&second, "master_link_status").await.is_some_and(|status| status == "up")
    })
    .await;
    let limits = Limits { requests: Some(quota(40, 3600)), ..Limits::default() };
    let servers = [first.server(), second.server()];
    let deadline = |config: &mut streamgauge::store::Config| config.deadline = DEADLINE;
    let fleet = Fleet::start(2, &servers, &[alice(limits)], streams(0.1), deadline).await;
    fleet.shares().await;
    log.shared();
    let mut used = 0;
    for one in &fleet.all {
        used += admitted(one, 10).await;
    }
    assert_eq!(used, 20);
    // The offset also counts what a server sends by itself, such as its pings, so that the replica may be beyond it at once.
    let offset =
        async |server: &Redis, name: &str| field(server, name).await.unwrap().parse::<u64>().unwrap();
    let written = offset(&first, "master_repl_offset").await;
    until_async("the replica has the state", async || offset(&second, "slave_repl_offset").await >= written)
        .await;

    // Until the replica is promoted it refuses writes, and each sidecar applies its half.
    first.kill();
    for one in &fleet.all {
        one.until_mode("local").await;
    }
    let ready = fleet.all[0].page("/readyz").await;
    assert!(ready.starts_with("ready; shared limits are not in force"), "{ready}");
    falls_back(&fleet.all[0]).await;
    second.command("REPLICAOF NO ONE").await;
    let began = Instant::now();
    for one in &fleet.all {
        one.until_mode("shared").await;
    }
    let promoted = began.elapsed();
    assert!(promoted < RECOVERY + SLACK, "{promoted:?}");
    one_line_a_change(&log, "promoted");
    // The state was replicated: of the burst, 20 are left, whatever happened in between.
    let left = admitted(&fleet.all[0], 15).await + admitted(&fleet.all[1], 15).await;
    assert_eq!(left, 20);

    // The first server returns, and knows nothing. The sidecars stay.
    first.restart().await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(admitted(&fleet.all[0], 3).await + admitted(&fleet.all[1], 3).await, 0);
    for one in &fleet.all {
        one.until_mode("shared").await;
    }
    assert_eq!(log.shared(), Vec::<String>::new());
    crate::figures::print(&format!("the promoted replica decided after {promoted:?}"));
}
