//! An upstream whose name gets another address after a while.

use std::{
    fs,
    path::Path,
    sync::{Arc, Barrier},
};

use super::*;

/// A port that is free on both addresses, the old one and the new one.
fn two_places() -> [TcpListener; 2] {
    loop {
        let old = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = old.local_addr().unwrap().port();
        if let Ok(new) = TcpListener::bind(("127.0.0.2", port)) {
            return [old, new];
        }
    }
}

/// An Ollama that returns its name as its version, on persistent connections. A generation stops in the middle.
fn ollama(listener: TcpListener, name: &'static str, middle: Arc<Barrier>) {
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, middle) = (connection.unwrap(), middle.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                loop {
                    let (mut first, mut line) = (String::new(), String::new());
                    if reader.read_line(&mut first).unwrap_or(0) == 0 {
                        return;
                    }
                    while reader.read_line(&mut line).unwrap() > 2 {
                        line.clear();
                    }
                    if first.starts_with("POST ") {
                        reader.read_exact(&mut [0; 13]).unwrap();
                        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n";
                        connection.write_all(head.as_bytes()).unwrap();
                        middle.wait();
                        connection.write_all(b"4\r\ntwo\n\r\n0\r\n\r\n").unwrap();
                        continue;
                    }
                    let body = format!("{{\"version\":\"{name}\"}}");
                    let length = body.len();
                    write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
                }
            });
        }
    });
}

/// A sidecar with `hosts` as /etc/hosts, in a namespace of its own.
fn serve(hosts: &Path, arguments: &[&str]) -> Running {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$0\" \"$@\"";
    command.args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_streamgauge")]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.arg(hosts).args(arguments);
    Running::spawn(command)
}

#[test]
#[ignore = "needs unshare, and namespaces for users"]
fn dns_change_moves_new_requests_and_keeps_running_streams() {
    let [old, new] = two_places();
    let port = old.local_addr().unwrap().port();
    let middle = Arc::new(Barrier::new(2));
    ollama(old, "old", middle.clone());
    ollama(new, "new", middle.clone());
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 ollama.test\n").unwrap();
    let configuration = file(&format!(
        "[upstreams]\nhealth_interval = \"100ms\"\n[[upstream]]\nurl = \"http://ollama.test:{port}\"\n"
    ));
    let path = configuration.path().to_str().unwrap();
    let mut serve =
        serve(&hosts, &["serve", "--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let [proxy, _] = serve.addresses();

    let mut stream = TcpStream::connect(&proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "POST /api/generate HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 13\r\n\r\n";
    write!(stream, "{head}{{\"model\":\"m\"}}").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "one\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "no record came");
    }
    // Both servers stay up. Connections to the old one are idle and could be used.
    for _ in 0..20 {
        assert!(get(&proxy, "/api/version").ends_with("{\"version\":\"old\"}"));
    }
    fs::write(&hosts, "127.0.0.2 ollama.test\n").unwrap();
    serve.until("the addresses of the upstream's name changed");
    for _ in 0..20 {
        assert!(get(&proxy, "/api/version").ends_with("{\"version\":\"new\"}"));
    }
    middle.wait();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("two\n\r\n0\r\n\r\n"), "{rest}");
    // A name without addresses keeps its last ones.
    fs::write(&hosts, "").unwrap();
    for _ in 0..20 {
        assert!(get(&proxy, "/api/version").ends_with("{\"version\":\"new\"}"));
    }
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}
