//! A process without free descriptors still answers admin requests.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{wait::until, *};

/// A sidecar, and its addresses for clients and for admin requests.
fn serve(command: Command) -> (Running, String, String) {
    let mut serve = Running::spawn(command);
    let [proxy, admin] = serve.addresses();
    (serve, proxy, admin)
}

const ARGUMENTS: [&str; 7] =
    ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9"];

#[test]
fn file_descriptors_exhausted_admin_answers_and_clients_are_accepted_later() {
    let (mut serve, proxy, admin) = serve(streamgauge(&ARGUMENTS));
    let pid = Pid::from_child(&serve.child);
    let before = getrlimit(Resource::Nofile).maximum;
    let to = |current| prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum: before }).unwrap();
    // There are free descriptors below the limit. Clients use all of them, and some clients wait.
    let (bound, free) = numbers(&serve);
    to(Some(bound));
    let mut held: Vec<_> = (0..free + 50).map(|_| TcpStream::connect(&proxy).unwrap()).collect();
    serve.until("failed to accept a connection");
    // Each request uses one of the four spare descriptors, so that one is always available.
    for _ in 0..2 {
        assert!(get(&admin, "/livez").starts_with("HTTP/1.1 200 "));
        // A client reads the end of its connection before the sidecar has forgotten it.
        until("the connection is forgotten", || {
            get(&admin, "/metrics").contains("streamgauge_connections_open{listener=\"admin\"} 1\n")
        });
    }
    to(before);
    // The waiting clients are served now.
    let last = held.last_mut().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(last, "GET /api/version HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains("failed to accept a connection to the admin address"), "{log}");
}

/// The highest descriptor plus one, and the number of free ones below it.
fn numbers(serve: &Running) -> (u64, u64) {
    let folder = fs::read_dir(format!("/proc/{}/fd", serve.child.id())).unwrap();
    let open: Vec<u64> = folder.filter_map(|name| name.unwrap().file_name().to_str()?.parse().ok()).collect();
    let bound = open.iter().max().unwrap() + 1;
    (bound, bound - open.len() as u64)
}

#[test]
fn low_file_descriptor_limit_lowers_max_connections_and_is_logged() {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg("ulimit -n 256; exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_streamgauge"));
    limited.args(ARGUMENTS).env_clear();
    let mut serve = Running::spawn(limited);
    let warning = serve.line();
    assert!(
        warning.contains("limit of file descriptors is too low") && warning.contains("max_connections=32"),
        "{warning}"
    );
    let [proxy, admin] = serve.addresses();
    let _held: Vec<_> = (0..200).map(|_| TcpStream::connect(&proxy).unwrap()).collect();
    // On a slow machine, some connections have been silent for a second by then and give way to others.
    until("168 connections are refused", || refused(&get(&admin, "/metrics")) == 168);
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}

/// The number of clients that were refused because there were too many.
fn refused(metrics: &str) -> u64 {
    let of = |reason: &str| {
        let series =
            format!("streamgauge_connections_refused_total{{listener=\"proxy\",reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok()).unwrap_or_default()
    };
    of("max_connections") + of("idle")
}
