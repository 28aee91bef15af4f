//! TLS of the real binary: `check`, SIGHUP, `probe`, and the example of the documentation.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;

use super::{
    authority::{Authority, Issued},
    *,
};

fn write(folder: &Path, Issued { cert, key }: &Issued) {
    fs::write(folder.join("server.pem"), cert).unwrap();
    fs::write(folder.join("server.key"), key).unwrap();
}

/// A configuration with TLS on both addresses, and the folder of its files.
fn secured(authority: &Authority, upstream: &str, admin: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    write(folder.path(), &authority.issue("127.0.0.1"));
    let (config, dir) = (folder.path().join("s.toml"), folder.path().display());
    let tls = format!("tls = {{ cert = \"{dir}/server.pem\", key = \"{dir}/server.key\" }}");
    let text = format!(
        "[proxy]\nlisten = \"127.0.0.1:0\"\n{tls}\n[admin]\nlisten = \"{admin}\"\n{tls}\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n[log]\nlevel = \"debug\"\n"
    );
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap().to_owned();
    (folder, config)
}

/// The two addresses of a sidecar that starts to listen.
fn connect(address: &str, authority: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// The certificate that a new connection receives.
fn shown(address: &str, authority: &Authority) -> CertificateDer<'static> {
    connect(address, authority).conn.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()
}

#[test]
fn check_reports_certificate_errors_and_shows_no_key() {
    let authority = Authority::new("ours");
    let (folder, config) = secured(&authority, &nobody(), "127.0.0.1:0");
    let check = || streamgauge(&["check", "--offline", "--config", &config]).output().unwrap();
    let right = check();
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));
    let key = fs::read_to_string(folder.path().join("server.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(stdout(&right).contains("server.key\" }") && !stdout(&right).contains(secret));

    fs::write(folder.path().join("server.key"), authority.issue("127.0.0.1").key).unwrap();
    let wrong = check();
    assert_eq!(wrong.status.code(), Some(2));
    for key in ["`proxy.tls`", "`admin.tls`"] {
        assert!(stderr(&wrong).contains(key), "{}", stderr(&wrong));
    }
    assert!(stderr(&wrong).contains("is not the key of the first certificate"), "{}", stderr(&wrong));
}

#[test]
fn sighup_replaces_certificate_during_stream_and_broken_one_keeps_old() {
    let authority = Authority::new("ours");
    // The head is answered at once, and the rest when the test says so.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap().to_string();
    let (tell, told) = std::sync::mpsc::sync_channel::<()>(1);
    thread::spawn(move || {
        for connection in upstream.incoming() {
            let mut connection = connection.unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            if !head.starts_with("GET /api/blobs/") {
                let _ = connection.write_all(VERSION.as_bytes());
                continue;
            }
            let begun =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nfirst\r\n";
            connection.write_all(begun).unwrap();
            told.recv().unwrap();
            connection.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
        }
    });
    let (folder, config) = secured(&authority, &address, "127.0.0.1:0");
    let mut serve = Running::start(&["serve", "--config", &config]);
    let [proxy, admin] = serve.addresses();
    let mut client = connect(&proxy, &authority);
    client.write_all(b"GET /api/blobs/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut begun = Vec::new();
    while !begun.ends_with(b"first\r\n") {
        let mut some = [0; 1024];
        let count = client.read(&mut some).unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&begun));
        begun.extend_from_slice(&some[..count]);
    }

    let new = authority.issue("127.0.0.1");
    assert_ne!(shown(&proxy, &authority), der(&new));
    write(folder.path(), &new);
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    for address in [&proxy, &admin] {
        assert_eq!(shown(address, &authority), der(&new));
    }

    fs::write(folder.path().join("server.pem"), "no certificate").unwrap();
    serve.signal("-HUP");
    let mistake = serve.until("`proxy.tls`");
    assert!(mistake.contains("ERROR") && mistake.contains("holds no certificate"), "{mistake}");
    serve.until("keeping the previous one");
    assert_eq!(shown(&proxy, &authority), der(&new));

    tell.send(()).unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "4\r\nlast\r\n0\r\n\r\n");
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0), "{log}");
    let secret = new.key.lines().nth(1).unwrap();
    assert!(!log.contains(secret), "{log}");
}

#[test]
fn probe_over_tls_accepts_only_certificate_of_its_sidecar() {
    // A port that was free a moment ago, since `probe` reads it from the configuration.
    let (upstream, admin) = (server(VERSION), nobody());
    let authority = Authority::new("ours");
    let (folder, config) = secured(&authority, &upstream, &admin);
    let mut serve = Running::start(&["serve", "--config", &config]);
    serve.addresses();
    serve.until("the upstream answered");
    let probe = |arguments: &[&str]| streamgauge(&[&["probe"], arguments].concat()).output().unwrap();
    let ready = probe(&["--config", &config]);
    assert_eq!(ready.status.code(), Some(0), "{}", stderr(&ready));

    // No authority of the system has signed the certificate.
    let foreign = probe(&[&format!("https://{admin}")]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(stderr(&foreign).contains("invalid peer certificate"), "{}", stderr(&foreign));
    let plain = probe(&[&format!("http://{admin}")]);
    assert_eq!(plain.status.code(), Some(1), "{}", stderr(&plain));

    write(folder.path(), &authority.issue("127.0.0.1"));
    let exchanged = probe(&["--config", &config]);
    assert_eq!(exchanged.status.code(), Some(1), "another than it shows: {}", stderr(&exchanged));
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    let again = probe(&["--config", &config]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
}

#[test]
fn https_upstream_is_verified_by_system_roots_and_http_needs_none() {
    let authority = Authority::new("ours");
    let (folder, config) = secured(&authority, &server(VERSION), "127.0.0.1:0");
    let mut serve = Running::start(&["serve", "--config", &config]);
    let [proxy, _] = serve.addresses();
    let (ours, none) = (folder.path().join("ca.pem"), folder.path().join("none.pem"));
    fs::write(&ours, authority.pem()).unwrap();
    fs::write(&none, "").unwrap();
    let upstream = format!("upstream = [{{ url = \"https://{proxy}\" }}]");
    let (secured, plain) =
        (file(&upstream), file(&format!("upstream = [{{ url = \"http://{}\" }}]", server(VERSION))));
    let check = |config: &tempfile::NamedTempFile, authorities: &Path| {
        let mut command = streamgauge(&["check", "--config", config.path().to_str().unwrap()]);
        command.env("SSL_CERT_FILE", authorities).env("SSL_CERT_DIR", folder.path().join("nowhere"));
        let output = command.output().unwrap();
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let (code, said) = check(&secured, &ours);
    assert!(code == Some(0) && said.contains("is Ollama 0.12.3"), "{said}");
    let (code, said) = check(&secured, &none);
    assert!(code == Some(2) && said.contains("no certificate authorities that can be read"), "{said}");
    assert!(said.contains("name a `ca_file`"), "{said}");
    let (code, said) = check(&plain, &none);
    assert!(code == Some(0) && said.contains("is Ollama 0.12.3"), "{said}");

    let mut command =
        streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]);
    command.arg(plain.path()).env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", folder.path().join("nowhere"));
    let mut serve = Running::spawn(command);
    serve.until("the upstream answered");
}

#[test]
#[ignore = "it takes bash, openssl and curl"]
fn documented_tls_example_works() {
    let page = include_str!("../../docs/how-to/tls.md");
    let block = |language: &str, number: usize| {
        let blocks = page.split(&format!("```{language}\n")).nth(number).unwrap();
        blocks.split("```").next().unwrap()
    };
    let folder = TempDir::new().unwrap();
    let bash = |script: &str| {
        let output = Command::new("bash").args(["-euc", script]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", stderr(&output));
        stdout(&output)
    };
    bash(block("sh", 1));
    fs::write(folder.path().join("s.toml"), block("toml", 1)).unwrap();
    let upstream = format!("http://{}", server(VERSION));
    let arguments = ["serve", "--config", "s.toml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut command = streamgauge(&[&arguments[..], &["--upstream", &upstream]].concat());
    command.current_dir(folder.path());
    let mut serve = Running::spawn(command);
    let [proxy, admin] = serve.addresses();
    let asked = block("sh", 2).replace("127.0.0.1:11440", &proxy).replace("127.0.0.1:9464", &admin);
    let answers = bash(&asked);
    assert!(answers.contains("{\"version\":\"0.12.3\"}"), "{answers}");
    assert!(answers.contains("streamgauge_build_info"), "{answers}");

    // The third certificate is for another machine.
    let config = block("toml", 2).replace("gpu1.lan:11434", &proxy);
    fs::write(folder.path().join("next.toml"), config).unwrap();
    let check = streamgauge(&["check", "--config", "next.toml"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    assert!(stdout(&check).contains("is Ollama 0.12.3"), "{}", stdout(&check));
}
