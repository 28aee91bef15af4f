//! A network partition between sidecars and their store.
//!
//! The test runs itself again as root of a new network namespace, which is the machine of the sidecars. The store is in
//! a second namespace. It has an address for each sidecar, and a partition removes one: nothing answers there, and
//! nothing reports it.
#![expect(clippy::disallowed_methods, reason = "the test runs itself again, in a namespace")]

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use streamgauge::{admission::Limits, store::Server};
use tokio::time::Instant;

use crate::{
    fault::{DEADLINE, RECOVERY, SLACK, falls_back},
    fleet::{Fleet, alice, quota, streams},
    log::Log,
    redis::Redis,
};

const INSIDE: &str = "STREAMGAUGE_TEST_INSIDE_NAMESPACE";

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The machine of the store. It exists as long as this process.
struct Far(Child);

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Far {
    fn new() -> Far {
        let mut far = Command::new("unshare");
        let far = far.args(["--net", "sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped());
        let mut far = far.spawn().unwrap();
        BufReader::new(far.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let far = Far(far);
        let id = far.0.id().to_string();
        run(&["ip", "link", "set", "lo", "up"]);
        run(&["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &id]);
        run(&["ip", "addr", "add", "10.9.1.1/24", "dev", "near"]);
        run(&["ip", "link", "set", "near", "up"]);
        far.ip(&["link", "set", "far", "up"]);
        far.ip(&["addr", "add", "10.9.1.200/24", "dev", "far"]);
        (2..4).for_each(|host| far.appears(host));
        far
    }

    fn namespace(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.0.id())
    }

    fn ip(&self, words: &[&str]) {
        run(&[&["nsenter", &self.namespace(), "ip"], words].concat());
    }

    fn appears(&self, host: u8) {
        self.ip(&["addr", "add", &format!("10.9.1.{host}/32"), "dev", "far"]);
    }

    fn vanishes(&self, host: u8) {
        self.ip(&["addr", "del", &format!("10.9.1.{host}/32"), "dev", "far"]);
    }
}

fn server(host: u8) -> Server {
    Server::Tcp { url: format!("redis://10.9.1.{host}:6379").parse().unwrap(), trust: None }
}

async fn inside() {
    let (far, log) = (Far::new(), Log::follow());
    let namespace = far.namespace();
    let command = ["nsenter", namespace.as_str()];
    let redis =
        Redis::start_inside(&command, &["--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no"]);
    let redis = redis.await;
    let shown =
        Command::new("nsenter").args([&namespace, "ip", "-o", "link", "show", "far"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let shown = shown.split_once("link/ether ").unwrap().1.split(' ').next().unwrap();
    // As behind a router: no neighbour discovery reports that the machine is gone.
    for host in 2..4 {
        let address = format!("10.9.1.{host}");
        run(&["ip", "neigh", "replace", &address, "lladdr", shown, "nud", "permanent", "dev", "near"]);
    }
    let limits = Limits { requests: Some(quota(60, 3600)), ..Limits::default() };
    let deadline = |config: &mut streamgauge::store::Config| config.deadline = DEADLINE;
    // Each sidecar has its own way to the same store.
    let one = Fleet::start(1, &[server(2)], &[alice(limits)], streams(0.1), deadline).await;
    let other = Fleet::start(1, &[server(3)], &[alice(limits)], streams(0.1), deadline).await;
    let (one, other) = (&one.all[0], &other.all[0]);
    for each in [one, other] {
        each.until_mode("shared").await;
        each.until("shared_sidecars", &[], 2.0).await;
    }
    log.shared();

    far.vanishes(2);
    let longest = falls_back(one).await;
    let mut admitted = 20;
    for _ in 0..30 {
        admitted += usize::from(one.version().await.0 == 200);
    }
    assert_eq!(admitted, 30, "its half of the limits");
    // The other one is not concerned.
    let (status, took) = other.version().await;
    assert!(status == 200 && took < SLACK, "{status} after {took:?}");
    other.until_mode("shared").await;
    let lost = log.shared();
    assert!(lost.len() == 1 && lost[0].contains("10.9.1.2:6379"), "{lost:#?}");

    far.appears(2);
    let began = Instant::now();
    one.until_mode("shared").await;
    let recovery = began.elapsed();
    assert!(recovery < RECOVERY + SLACK, "{recovery:?}");
    // All of the burst is left in the store, except for the request of the other one, and for the three requests that
    // waited, if the system sent them after all: the overshoot is one share.
    let mut after = 0;
    for _ in 0..40 {
        after += usize::from(one.version().await.0 == 200) + usize::from(other.version().await.0 == 200);
    }
    assert!((56..=59).contains(&after), "{after}");
    let restored = log.shared();
    assert!(restored.len() == 1 && restored[0].contains("are in force"), "{restored:#?}");
    crate::figures::print(&format!("partition: longest request {longest:?}, recovery {recovery:?}"));
    drop(redis);
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh, unshare, nsenter and ip, and namespaces for users"]
async fn sidecar_that_is_cut_off_applies_its_share_and_returns_within_a_second() {
    if env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    let name = "partition::sidecar_that_is_cut_off_applies_its_share_and_returns_within_a_second";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--ignored", "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("unshare runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    crate::figures::print(text(&output.stderr).lines().find(|line| line.starts_with("partition: ")).unwrap());
}
