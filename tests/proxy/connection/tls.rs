//! Clients that use TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use streamgauge::{
    sidecar::{Config, Sidecar},
    tls::Identity,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    authority::{Authority, Issued},
    harness::*,
};

/// A record that fills several TLS records.
const LARGE: usize = 100_000;

pub(crate) fn identity(issued: &Issued) -> Identity {
    Identity::from_pem(issued.cert.as_bytes(), issued.key.as_bytes()).unwrap()
}

/// TLS on both addresses.
fn secured(upstream: SocketAddr, authority: &Authority) -> Config {
    let mut config = config(upstream);
    let identity = identity(&authority.issue("127.0.0.1"));
    (config.proxy.tls, config.admin.tls) = (Some(identity.clone()), Some(identity));
    config
}

fn trusting(authority: &Authority) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
}

/// A connection with this version of TLS.
async fn connect(
    addr: SocketAddr,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = soon(TcpStream::connect(addr)).await.unwrap();
    let name = ServerName::from(addr.ip());
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// The certificate that a new connection receives.
async fn shown(addr: SocketAddr, authority: &Authority) -> CertificateDer<'static> {
    let stream = connect(addr, authority, &TLS13, &[]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()
}

async fn until(stream: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let mut some = vec![0; 64 << 10];
        let count = soon(stream.read(&mut some)).await.unwrap();
        assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&some[..count]);
    }
    String::from_utf8(seen).unwrap()
}

/// The content of the chunks, whose boundaries may have changed.
fn joined(mut chunked: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunked.split_once("\r\n") {
        let (data, rest) = rest.split_at(usize::from_str_radix(size, 16).unwrap());
        body += data;
        chunked = &rest[2..];
    }
    body
}

/// A client that has read the first record of its stream, and the request at the upstream.
async fn streaming(
    proxy: SocketAddr,
    authority: &Authority,
    upstream: &mut Upstream,
) -> (TlsStream<TcpStream>, Asked) {
    let mut client = connect(proxy, authority, &TLS13, &[]).await.unwrap();
    client.write_all(generate().as_bytes()).await.unwrap();
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    until(&mut client, &chunk(RECORD)).await;
    (client, asked)
}

#[tokio::test]
async fn tls_stream_arrives_unchanged_with_each_version() {
    let authority = Authority::new("ours");
    let mut upstream = upstream().await;
    let sidecar = sidecar(secured(upstream.addr, &authority)).await;
    for version in [&TLS12, &TLS13] {
        let mut client = connect(sidecar.proxy, &authority, version, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        client.write_all(generate().as_bytes()).await.unwrap();
        let mut asked = upstream.asked().await;
        assert_eq!(asked.body(13).await, "{\"model\":\"m\"}");
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        let head = until(&mut client, &chunk(RECORD)).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let large = format!("{{\"response\":\"{}\",\"done\":false}}\n", "x".repeat(LARGE));
        let rest = [&chunk(RECORD), &chunk(&large), &chunk(LAST), "0\r\n\r\n"].concat();
        asked.write(&rest).await;
        let came = until(&mut client, "0\r\n\r\n").await;
        // Not printed, since it is long.
        assert!(joined(&came) == [RECORD, &large, LAST].concat(), "other bytes came");
        drop(asked);
    }
    sidecar.until(&ended("generate", "m:latest", "complete"), 2.0).await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
    assert_eq!(sidecar.value("connections_refused_total{listener=\"proxy\",reason=\"tls\"}"), 0.0);
}

#[tokio::test]
async fn tls_handshake_failures_are_counted_only_on_tls_listeners() {
    let authority = Authority::new("ours");
    let mut config = secured(upstream().await.addr, &authority);
    config.admin.tls = None;
    let page = sidecar(config).await.page("/metrics").await.1;
    assert!(page.contains("connections_refused_total{listener=\"proxy\",reason=\"tls\"} 0"), "{page}");
    assert!(!page.contains("connections_refused_total{listener=\"admin\",reason=\"tls\"}"), "{page}");
}

#[tokio::test]
async fn tls_metrics_are_readable_only_with_trusted_authority() {
    let authority = Authority::new("ours");
    let sidecar = sidecar(secured(upstream().await.addr, &authority)).await;
    let url = format!("https://{}/metrics", sidecar.admin);
    let answer = soon(trusting(&authority).get(&url).send()).await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    assert!(answer.text().await.unwrap().contains("streamgauge_build_info"));

    let stranger = Authority::new("a stranger's");
    let refused = soon(trusting(&stranger).get(&url).send()).await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    assert!(connect(sidecar.proxy, &stranger, &TLS13, &[]).await.is_err());
    for listener in ["proxy", "admin"] {
        let series = format!("connections_refused_total{{listener=\"{listener}\",reason=\"tls\"}}");
        sidecar.until(&series, 1.0).await;
    }
}

#[tokio::test]
async fn tls_listener_refuses_plain_http_and_other_protocols() {
    let authority = Authority::new("ours");
    let sidecar = sidecar(secured(upstream().await.addr, &authority)).await;
    for addr in [sidecar.proxy, sidecar.admin] {
        for plain in ["GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", "\0\0\0\0", "\x16\x03\x01\x02\0\x01"] {
            let mut client = soon(TcpStream::connect(addr)).await.unwrap();
            client.write_all(plain.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            // A reset counts as well.
            let _ = soon(client.read_to_end(&mut answer)).await;
            assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
        }
        assert!(connect(addr, &authority, &TLS13, &["h2"]).await.is_err());
        assert!(connect(addr, &authority, &TLS13, &["http/1.1"]).await.is_ok());
    }
    for listener in ["proxy", "admin"] {
        let series = format!("connections_refused_total{{listener=\"{listener}\",reason=\"tls\"}}");
        sidecar.until(&series, 4.0).await;
        sidecar.until(&format!("connections_open{{listener=\"{listener}\"}}"), 0.0).await;
    }
}

#[tokio::test]
async fn tls_handshake_that_does_not_end_is_cut_and_delays_nobody() {
    let authority = Authority::new("ours");
    let mut config = secured(upstream().await.addr, &authority);
    config.proxy.header_timeout = Duration::from_secs(2);
    let sidecar = sidecar(config).await;
    let began = tokio::time::Instant::now();
    let mut slow = Vec::new();
    for first in [&b""[..], b"\x16", b"\x16\x03\x01\x02\0\x01\0"] {
        let mut client = soon(TcpStream::connect(sidecar.proxy)).await.unwrap();
        client.write_all(first).await.unwrap();
        slow.push(client);
    }
    // They count as connections, and others are served meanwhile.
    sidecar.until("connections_open{listener=\"proxy\"}", 3.0).await;
    connect(sidecar.proxy, &authority, &TLS13, &[]).await.unwrap();
    for mut client in slow {
        let mut answer = Vec::new();
        let _ = soon(client.read_to_end(&mut answer)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"tls\"}", 3.0).await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;
}

#[tokio::test]
async fn tls_connections_have_the_same_limits_as_plain_ones() {
    let authority = Authority::new("ours");
    let mut config = secured(upstream().await.addr, &authority);
    config.proxy.header_timeout = Duration::from_millis(300);
    config.proxy.max_head = 8 << 10;
    config.proxy.max_connections = 2;
    let mut sidecar = sidecar(config).await;

    let mut long = connect(sidecar.proxy, &authority, &TLS13, &[]).await.unwrap();
    let head = format!("GET /api/tags HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    long.write_all(head.as_bytes()).await.unwrap();
    assert!(until(&mut long, "}").await.starts_with("HTTP/1.1 431 "));
    drop(long);
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;

    let mut slow = connect(sidecar.proxy, &authority, &TLS13, &[]).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(slow.read_to_end(&mut answer)).await;
    sidecar.until("requests_malformed_total{reason=\"head_timeout\"}", 1.0).await;
    sidecar.until("connections_open{listener=\"proxy\"}", 0.0).await;

    let _one = soon(TcpStream::connect(sidecar.proxy)).await.unwrap();
    let _other = soon(TcpStream::connect(sidecar.proxy)).await.unwrap();
    sidecar.until("connections_open{listener=\"proxy\"}", 2.0).await;
    assert!(connect(sidecar.proxy, &authority, &TLS13, &[]).await.is_err());
    sidecar.until("connections_refused_total{listener=\"proxy\",reason=\"max_connections\"}", 1.0).await;
    // Unfinished handshakes do not delay the end.
    sidecar.stop();
    sidecar.ended().await;
}

#[tokio::test]
async fn tls_client_that_leaves_cancels_and_cut_response_never_looks_complete() {
    let authority = Authority::new("ours");
    let mut upstream = upstream().await;
    let sidecar = sidecar(secured(upstream.addr, &authority)).await;
    let (client, mut asked) = streaming(sidecar.proxy, &authority, &mut upstream).await;
    drop(client);
    asked.is_left().await;
    sidecar.until(&ended("generate", "m:latest", "client_abort"), 1.0).await;

    // In HTTP/1.0 the end of the connection is the only end, which TLS distinguishes from a cut.
    for request in [generate(), generate().replace("HTTP/1.1", "HTTP/1.0")] {
        let mut client = connect(sidecar.proxy, &authority, &TLS13, &[]).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        drop(asked);
        let mut came = Vec::new();
        let end = soon(client.read_to_end(&mut came)).await;
        let looks_whole = end.is_ok() && (request.contains("1.0") || came.ends_with(b"0\r\n\r\n"));
        assert!(!looks_whole, "{end:?} {}", String::from_utf8_lossy(&came));
    }
}

#[tokio::test]
async fn tls_certificate_replaced_applies_to_new_connections_only() {
    let authority = Authority::new("ours");
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    let (old, new) = (authority.issue("127.0.0.1"), authority.issue("127.0.0.1"));
    (config.proxy.tls, config.admin.tls) = (Some(identity(&old)), Some(identity(&old)));
    let bound = Sidecar::builder().config(config.clone()).bind().await.unwrap();
    let reload = bound.reload();
    let sidecar = run(bound);
    let (mut client, mut asked) = streaming(sidecar.proxy, &authority, &mut upstream).await;
    for addr in [sidecar.proxy, sidecar.admin] {
        assert_eq!(shown(addr, &authority).await, der(&old));
    }

    (config.proxy.tls, config.admin.tls) = (Some(identity(&new)), Some(identity(&new)));
    reload.apply(&config);
    for addr in [sidecar.proxy, sidecar.admin] {
        assert_eq!(shown(addr, &authority).await, der(&new));
    }
    asked.write(&[&chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    until(&mut client, "0\r\n\r\n").await;

    // A reload cannot turn TLS on or off.
    (config.proxy.tls, config.admin.tls) = (None, None);
    reload.apply(&config);
    assert_eq!(shown(sidecar.proxy, &authority).await, der(&new));
}

#[tokio::test]
async fn tls_stream_completes_in_drain_and_connection_ends_with_close_notify() {
    let authority = Authority::new("ours");
    let mut upstream = upstream().await;
    let mut sidecar = sidecar(secured(upstream.addr, &authority)).await;
    let (mut client, mut asked) = streaming(sidecar.proxy, &authority, &mut upstream).await;
    sidecar.stop();
    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    let mut rest = String::new();
    // An end without a `close_notify` would be an error, since an attacker could cause it.
    soon(client.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, [&chunk(LAST), "0\r\n\r\n"].concat());
    sidecar.ended().await;
}

#[test]
fn tls_key_is_in_no_debug_text() {
    let issued = Authority::new("ours").issue("127.0.0.1");
    let mut config = Config::default();
    config.proxy.tls = Some(identity(&issued));
    let (shown, secret) = (format!("{config:?} {:#?}", config.proxy), &issued.key);
    assert!(shown.contains("Identity"), "{shown}");
    for line in secret.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!shown.contains(line), "{shown}");
    }
}
