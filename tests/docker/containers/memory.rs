//! A memory limit on the sidecar's container: usage below it, and what happens when it is reached.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    engine::{Engine, IMAGE},
    wait::until,
};

/// The concurrent streams. One takes about 30 KiB.
const STREAMS: usize = 1_000;
/// The time for a container to end and to start again.
const PATIENCE: Duration = Duration::from_secs(120);

/// A sidecar with this much memory, in front of an Ollama whose responses never end.
struct Limited<'a> {
    engine: &'a Engine,
    name: &'static str,
}

impl Limited<'_> {
    fn start<'a>(engine: &'a Engine, name: &'static str, memory: &str) -> Limited<'a> {
        let memory = [format!("--memory={memory}"), format!("--memory-swap={memory}")];
        let named = ["run", "--detach", "--name", name, "--network=plain"];
        let ports = ["--publish=127.0.0.1::11434", "--publish=127.0.0.1::9464"];
        engine.say(&[&named[..], &memory.each_ref().map(String::as_str), &ports, &[IMAGE]].concat());
        engine.healthy(name);
        Limited { engine, name }
    }

    /// Its address, which a restart may change.
    fn addr(&self) -> String {
        self.engine.say(&["port", self.name, "11434/tcp"])
    }

    /// Requests a response of this many tokens.
    fn ask(addr: &str, tokens: u64) -> std::io::Result<TcpStream> {
        let mut client = TcpStream::connect(addr)?;
        client.set_read_timeout(Some(PATIENCE))?;
        let body = format!(r#"{{"model":"sim","prompt":"why","options":{{"num_predict":{tokens}}}}}"#);
        let head = "POST /api/generate HTTP/1.1\r\nHost: sidecar\r\nContent-Type: application/json\r\nConnection: close\r\n";
        write!(client, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        Ok(client)
    }

    /// Whether a client that reads receives a whole response.
    fn answers(&self) -> bool {
        let mut answer = String::new();
        let read = Self::ask(&self.addr(), 1).and_then(|mut client| client.read_to_string(&mut answer));
        read.is_ok() && answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n0\r\n\r\n")
    }

    fn crowd(&self) -> Vec<TcpStream> {
        let addr = self.addr();
        (0..STREAMS).map_while(|_| Self::ask(&addr, 1_000_000_000).ok()).collect()
    }

    /// The number of running streams.
    fn running(&self) -> usize {
        let admin = self.engine.say(&["port", self.name, "9464/tcp"]);
        let streams = TcpStream::connect(admin).and_then(|mut client| {
            write!(client, "GET /streams HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
            let mut said = String::new();
            client.read_to_string(&mut said)?;
            Ok(said.matches("\"decoding\":true").count())
        });
        streams.unwrap_or_default()
    }

    /// Whether it runs, and whether the kernel has killed it for its memory.
    fn state(&self) -> String {
        self.engine.inspect(self.name, "{{.State.Running}} {{.State.OOMKilled}}")
    }
}

#[test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
fn container_memory_limit_fits_thousand_streams_and_reached_limit_restarts() {
    let engine = Engine::start();
    engine.say(&["network", "create", "plain"]);
    let endless = ["simulate", "--listen=0.0.0.0:11434", "--rate=1", "--load-time=0s", "--prefill-rate=0"];
    let many = ["--parallel=2000", "--contention=0"];
    let ollama = ["run", "--detach", "--name=ollama", "--network=plain", "--no-healthcheck", IMAGE];
    engine.say(&[&ollama[..], &endless, &many].concat());

    // Half of the limit of deploy/kubernetes.
    let enough = Limited::start(&engine, "enough", "256m");
    let crowd = enough.crowd();
    assert_eq!(crowd.len(), STREAMS);
    until("each has its answer", || enough.running() == STREAMS);
    assert!(enough.answers(), "beside them");
    println!(
        "{STREAMS} streams: {}",
        engine.say(&["stats", "--no-stream", "--format={{.MemUsage}}", "enough"])
    );
    assert_eq!(enough.state(), "true false");
    drop(crowd);

    // Enough for the program alone: with less, the kernel reads its pages again and again instead of ending it.
    let scarce = Limited::start(&engine, "scarce", "24m");
    let mut crowd = scarce.crowd();
    until("the kernel ends it", || scarce.state() == "false true");
    // No client may take this for the end of a response.
    let mut answer = Vec::new();
    let first = crowd.first_mut().expect("the first of all was let in");
    let _ = first.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "it had begun");
    assert!(!answer.ends_with(b"\r\n0\r\n\r\n"), "a stream that was cut looks whole");
    drop(crowd);
    engine.say(&["start", "scarce"]);
    until("it serves again", || scarce.answers());
    engine.say(&["rm", "--force", "enough", "scarce", "ollama"]);
}
