//! One sidecar replaces another on sockets that outlive both, as systemd passes them.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

use super::*;

/// Longer than any step of the test.
const PATIENCE: Duration = Duration::from_secs(60);
const STREAMS: usize = 20;

/// The sockets of a service manager.
pub(super) struct Manager {
    proxy: TcpListener,
    admin: TcpListener,
}

impl Manager {
    pub(super) fn new() -> Manager {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        Manager { proxy: listen(), admin: listen() }
    }

    pub(super) fn proxy(&self) -> String {
        self.proxy.local_addr().unwrap().to_string()
    }

    pub(super) fn admin(&self) -> String {
        self.admin.local_addr().unwrap().to_string()
    }

    /// A sidecar that gets both sockets as descriptors 3 and 4, with these names.
    pub(super) fn command(&self, names: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null
            export LISTEN_PID=$$ LISTEN_FDS=2
            exec \"$0\" \"$@\"";
        command.args(["-c", script, env!("CARGO_BIN_EXE_streamgauge"), "serve"]).args(arguments).env_clear();
        let hand_over = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        command.stdin(hand_over(&self.proxy)).stdout(hand_over(&self.admin)).stderr(Stdio::piped());
        command.env("LISTEN_FDNAMES", names);
        command
    }

    /// A sidecar that serves. Its addresses are those of the sockets, whatever the settings say.
    fn serve(&self, upstream: &str) -> Running {
        let arguments = ["--upstream", upstream, "--listen", "127.0.0.1:1", "--admin", "0.0.0.0:2"];
        let mut serve = Running::spawn(self.command("proxy:admin", &arguments));
        let line = serve.line();
        assert!(line.contains("listening"), "{line}");
        assert_eq!((address(&line, "proxy="), address(&line, "admin=")), (self.proxy(), self.admin()));
        serve
    }
}

/// Clients that connect for each request, until they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(proxy: &str) -> Clients {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |_| {
            let (proxy, stop, answered) = (proxy.to_owned(), stop.clone(), answered.clone());
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let answer = get(&proxy, "/api/version");
                    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('}'), "{answer:?}");
                    answered.fetch_add(1, SeqCst);
                }
            })
        };
        let threads = (0..8).map(client).collect();
        Clients { stop, answered, threads }
    }

    /// Waits until this many more requests were answered.
    fn answered(&self, more: usize) {
        let wanted = self.answered.load(SeqCst) + more;
        while self.answered.load(SeqCst) < wanted {
            assert!(!self.threads.iter().all(JoinHandle::is_finished), "each client has failed");
            thread::yield_now();
        }
    }

    /// Stops the clients. A client that was refused or got a wrong response has panicked.
    fn end(self) {
        self.stop.store(true, SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

pub(super) fn simulated() -> (Running, String) {
    let arguments = ["--load-time", "0s", "--rate", "10", "--tokens", "40", "--parallel", "100"];
    let mut simulate = Running::start(&[&["simulate", "--listen", "127.0.0.1:0"], &arguments[..]].concat());
    let upstream = format!("http://{}", address(&simulate.line(), "ollama="));
    (simulate, upstream)
}

/// Streams of four seconds, each past its first record.
fn streams(proxy: &str) -> Vec<BufReader<TcpStream>> {
    let open = |_| {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = r#"{"model":"sim","prompt":"hi"}"#;
        let length = body.len();
        write!(stream, "POST /api/generate HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        BufReader::new(stream)
    };
    let mut streams: Vec<_> = (0..STREAMS).map(open).collect();
    for stream in &mut streams {
        let mut line = String::new();
        while !line.contains("\"response\"") {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "no record came");
        }
    }
    streams
}

/// Waits for the complete end of each stream.
fn all_whole(streams: Vec<BufReader<TcpStream>>) {
    for mut stream in streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("\"done\":true") && rest.ends_with("0\r\n\r\n"), "{rest}");
    }
}

/// The numbers of requests and of streams that a sidecar has counted.
fn counted(admin: &str) -> [u64; 2] {
    let page = get(admin, "/metrics");
    ["route=\"version\"", "route=\"generate\""].map(|route| {
        let of = page.lines().filter(|line| {
            line.starts_with("streamgauge_requests_total{")
                && line.contains(route)
                && line.contains("outcome=\"complete\"")
        });
        of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
    })
}

#[test]
fn systemd_socket_upgrade_beside_old_process_refuses_no_client() {
    let (manager, (_simulate, upstream)) = (Manager::new(), simulated());
    let old = manager.serve(&upstream);
    let streams = streams(&manager.proxy());
    let clients = Clients::start(&manager.proxy());
    clients.answered(100);
    let new = manager.serve(&upstream);
    clients.answered(100);
    old.signal("-TERM");
    // While the old sidecar drains, the new one answers.
    clients.answered(100);
    all_whole(streams);
    let (code, log) = old.end();
    assert_eq!(code, Some(0), "{log}");
    clients.answered(100);
    clients.end();
    let [questions, generations] = counted(&manager.admin());
    assert!(questions >= 100 && generations == 0, "{questions} {generations}");
    new.signal("-TERM");
    assert_eq!(new.end().0, Some(0));
}

#[test]
fn systemd_socket_without_running_sidecar_makes_clients_wait() {
    let (manager, (_simulate, upstream)) = (Manager::new(), simulated());
    let old = manager.serve(&upstream);
    let streams = streams(&manager.proxy());
    let clients = Clients::start(&manager.proxy());
    clients.answered(100);
    old.signal("-TERM");
    all_whole(streams);
    let (code, log) = old.end();
    assert_eq!(code, Some(0), "{log}");
    // Clients are connected and wait.
    let late = thread::spawn({
        let proxy = manager.proxy();
        move || get(&proxy, "/api/version")
    });
    let new = manager.serve(&upstream);
    assert!(late.join().unwrap().starts_with("HTTP/1.1 200 "));
    clients.answered(100);
    clients.end();
    let [questions, generations] = counted(&manager.admin());
    assert!(questions > 100 && generations == 0, "{questions} {generations}");
    new.signal("-TERM");
    assert_eq!(new.end().0, Some(0));
}

#[test]
fn unusable_systemd_socket_is_an_error_that_says_what_to_do() {
    let manager = Manager::new();
    for (names, part) in [
        ("proxy:streamgauge.socket", "set its FileDescriptorName= to proxy or admin"),
        ("proxy:proxy", "two sockets named proxy"),
        ("proxy", "LISTEN_FDNAMES to an invalid value"),
    ] {
        let output = manager.command(names, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    // The socket that `Accept=yes` passes.
    let connection = TcpStream::connect(manager.proxy()).unwrap();
    let mut command = manager.command("proxy:admin", &[]);
    let output = command.stdin(OwnedFd::from(connection)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("set Accept=no"), "{}", stderr(&output));
}

#[test]
fn systemd_socket_for_another_process_is_ignored() {
    let manager = Manager::new();
    let mut serve = streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    serve.env("LISTEN_PID", "1").env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "proxy:admin");
    let mut serve = Running::spawn(serve);
    let line = serve.line();
    assert!(line.contains("listening") && address(&line, "proxy=") != manager.proxy(), "{line}");
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}
