//! Clients that vanish, and clients that are there and do not read, in separate network namespaces.
//!
//! The test runs itself again as root of a new namespace, which is the sidecar's machine. A second namespace is the
//! clients' machine. A client vanishes when the address of its machine is removed: nothing answers, and nothing
//! reports it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the peers are threads with sockets that block, in a network namespace of their own; a figure is printed"
)]

use std::{
    fs::File,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Instant,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;

const INSIDE: &str = "STREAMGAUGE_TEST_INSIDE_NAMESPACE";
/// How long a vanished client may be undetected, with a tolerance for a busy machine.
const MINUTE: Duration = Duration::from_secs(60 + 5);
/// The same if the kernel has probed a closed window for so long that it probes only every two minutes.
const RARELY_ASKED: Duration = Duration::from_secs(150 + 5);
/// How long a client may read nothing.
const UNREAD: Duration = Duration::from_secs(90);
const RECORD: &str =
    "{\"model\":\"m\",\"response\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"done\":false}\n";
const LAST: &str = "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"eval_count\":1}\n";

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", stderr(&output));
}

/// The clients' machine. It exists as long as this process.
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
        let mut far = far
            .args(["--net", "sh", "-c", "echo ready; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(far.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let far = Far(far);
        ip("link set lo up");
        ip(&format!("link add near type veth peer name far netns {}", far.0.id()));
        ip("addr add 10.9.0.1/24 dev near");
        ip("link set near up");
        far.within(|| {
            ip("link set far up");
            // Each client has a machine of its own, which can be removed.
            ip("addr add 10.9.0.200/24 dev far");
            (2..10).for_each(|host| ip(&format!("addr add 10.9.0.{host}/32 dev far")));
        });
        // Behind a router, so that no neighbour discovery reports that the machine is gone.
        let shown = far.within(|| Command::new("ip").args(["-o", "link", "show", "far"]).output().unwrap());
        let shown = stdout(&shown);
        let link = shown.split_once("link/ether ").unwrap().1.split(' ').next().unwrap();
        for host in 2..10 {
            ip(&format!("neigh replace 10.9.0.{host} lladdr {link} nud permanent dev near"));
        }
        far
    }

    /// Runs a command there.
    fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        thread::scope(|scope| {
            let within = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                action()
            });
            within.join().unwrap()
        })
    }

    /// A connection from one of its machines.
    fn connect(&self, host: u8, to: SocketAddr) -> TcpStream {
        self.within(|| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(16 << 10).unwrap();
            socket.bind(&SocketAddr::from(([10, 9, 0, host], 0)).into()).unwrap();
            socket.connect(&to.into()).unwrap();
            socket.into()
        })
    }

    fn vanishes(&self, host: u8) {
        self.within(|| ip(&format!("addr del 10.9.0.{host}/32 dev far")));
    }
}

/// The upstream's view of a request: the number of the client, and how the connection ended.
type Left = (String, Instant);

/// An Ollama that sends nothing to `silent`, and to the others `most` records with pauses.
fn ollama(left: Sender<Left>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(left);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, left) = (connection.unwrap(), left.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                let (mut first, mut line) = (String::new(), String::new());
                reader.read_line(&mut first).unwrap_or(0);
                let mut length = 0;
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                if !first.starts_with("POST ") {
                    return drop(connection.write_all(VERSION.as_bytes()));
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let prompt = body["prompt"].as_str().unwrap().to_owned();
                let (kind, records) = prompt.split_once(' ').unwrap();
                if kind != "silent" {
                    let pause = Duration::from_millis(if kind == "slow" { 100 } else { 0 });
                    let written = stream(&mut connection, records.parse().unwrap(), pause);
                    if written.is_ok() {
                        return;
                    }
                }
                // Until the sidecar disconnects.
                let _ = reader.read_to_end(&mut Vec::new());
                left.send((prompt, Instant::now())).unwrap();
            });
        }
    });
    address
}

fn stream(connection: &mut TcpStream, records: usize, pause: Duration) -> std::io::Result<()> {
    connection.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let chunk = format!("{:X}\r\n{RECORD}\r\n", RECORD.len());
    for _ in 0..records {
        connection.write_all(chunk.as_bytes())?;
        thread::sleep(pause);
    }
    write!(connection, "{:X}\r\n{LAST}\r\n0\r\n\r\n", LAST.len())
}

/// Requests a stream.
fn ask(mut client: &TcpStream, prompt: &str) {
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{prompt}\"}}");
    let length = body.len();
    write!(client, "POST /api/generate HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
}

/// When the upstream's connection for this client ended.
fn noticed(left: &Receiver<Left>, seen: &mut Vec<Left>, prompt: &str, within: Duration) -> Instant {
    let until = Instant::now() + within;
    loop {
        if let Some((_, when)) = seen.iter().find(|(of, _)| of == prompt) {
            return *when;
        }
        let wait = until.saturating_duration_since(Instant::now());
        seen.push(left.recv_timeout(wait).unwrap_or_else(|why| panic!("{prompt}: {why}; {seen:?}")));
    }
}

/// The content of a chunked body, whose chunks may differ from the upstream's.
fn body(answer: &str) -> String {
    let (_, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body += &after[..size];
        rest = &after[size + 2..];
    }
    body
}

fn value(admin: &str, series: &str) -> String {
    let metrics = get(admin, "/metrics");
    let line = metrics.lines().find(|line| line.starts_with(series)).unwrap_or_default();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// Starts the sidecar. Returns it, and the addresses for clients and for admin requests.
fn serve(upstream: &str) -> (Running, [String; 2]) {
    let mut serve =
        Running::start(&["serve", "--listen", "10.9.0.1:0", "--admin", "10.9.0.1:0", "--upstream", upstream]);
    let addresses = serve.addresses();
    (serve, addresses)
}

/// Reads a whole response.
fn read_whole(mut unread: &TcpStream, began: Instant) -> String {
    unread.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (mut whole, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    while !whole.ends_with(b"0\r\n\r\n") {
        match unread.read(&mut piece) {
            Ok(read) if read > 0 => whole.extend_from_slice(&piece[..read]),
            ended => panic!("after {} bytes and {:?}: {ended:?}", whole.len(), began.elapsed()),
        }
    }
    String::from_utf8(whole).unwrap()
}

fn inside() {
    let far = Far::new();
    let (left, seen) = mpsc::channel();
    let upstream = format!("http://{}", ollama(left));
    let (_serve, addresses) = serve(&upstream);
    let [proxy, admin]: [SocketAddr; 2] = addresses.each_ref().map(|one| one.parse().unwrap());
    assert_eq!(proxy.ip(), IpAddr::from([10, 9, 0, 1]));
    let [_, admin_at] = &addresses;

    // The first client gets nothing, the second gets records, and the third does not read its many records.
    let silent = far.connect(2, proxy);
    ask(&silent, "silent 0");
    let slow = far.connect(3, proxy);
    ask(&slow, "slow 100000");
    let mut reads = slow.try_clone().unwrap();
    thread::spawn(move || std::io::copy(&mut reads, &mut std::io::sink()));
    let stalled = far.connect(4, proxy);
    ask(&stalled, "fast 200000");
    let idle = far.connect(5, admin);
    // These clients live: one reads after a while, and one continues after a silence.
    let unread = far.connect(6, proxy);
    ask(&unread, "fast 200001");
    let quiet = far.connect(7, admin);
    // This client vanishes too, after it has read nothing for a long time.
    let late = far.connect(8, proxy);
    ask(&late, "fast 200002");
    let began = Instant::now();
    thread::sleep(Duration::from_secs(20));
    let cut = Instant::now();
    (2..6).for_each(|host| far.vanishes(host));

    let mut found = Vec::new();
    for prompt in ["silent 0", "slow 100000", "fast 200000"] {
        let after = noticed(&seen, &mut found, prompt, 2 * MINUTE).duration_since(cut);
        assert!(after <= MINUTE, "{prompt}: {after:?}");
    }
    let vanished = |listener: &str| {
        value(admin_at, &format!("streamgauge_connections_vanished_total{{listener=\"{listener}\"}}"))
    };
    while vanished("admin") != "1" {
        assert!(cut.elapsed() <= MINUTE, "the idle client of the admin address");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(vanished("proxy"), "3");

    // The client that does not read is still served, and receives everything.
    thread::sleep(UNREAD.saturating_sub(began.elapsed()));
    let cut = Instant::now();
    far.vanishes(8);
    let body = body(&read_whole(&unread, began));
    assert!(body == RECORD.repeat(200_001) + LAST, "{} bytes", body.len());
    // So is the client that sent no request for as long.
    write!(&quiet, "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut alive = String::new();
    (&quiet).read_to_string(&mut alive).unwrap();
    assert!(alive.ends_with("alive\n"), "{alive}");
    assert_eq!(vanished("proxy"), "3");
    let after = noticed(&seen, &mut found, "fast 200002", 2 * RARELY_ASKED).duration_since(cut);
    println!("noticed {after:?} after it vanished, having read nothing for {UNREAD:?}");
    assert!(after <= RARELY_ASKED, "{after:?}");
    assert_eq!(vanished("proxy"), "4");
    drop(late);
    drop((silent, slow, stalled, idle));
}

#[test]
#[ignore = "needs unshare and ip, and namespaces for users"]
fn vanished_client_is_detected_within_a_minute_and_unreading_client_is_served() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let name = "vanished::vanished_client_is_detected_within_a_minute_and_unreading_client_is_served";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--ignored", "--nocapture"]).env(INSIDE, "1").output();
    let output = output.unwrap_or_else(|error| {
        assert_ne!(error.kind(), ErrorKind::NotFound, "unshare is not installed");
        panic!("{error}")
    });
    print!("{}", stdout(&output));
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
