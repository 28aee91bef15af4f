//! `https` upstreams: which certificates are accepted.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use streamgauge::{
    sidecar::{BindError, Config, Sidecar},
    tls::{Authorities, Trust},
    upstream::UpstreamConfig,
};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    authority::{Authority, Issued},
    connection::tls::identity,
    harness::*,
};

/// A TLS terminator in front of a plain server. `clients` verifies client certificates.
pub(crate) async fn before(plain: SocketAddr, issued: &Issued, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut secured, &mut plain).await;
            });
        }
    });
    addr
}

pub(crate) fn only(authority: &Authority) -> Authorities {
    Authorities::from_pem(authority.pem().as_bytes()).unwrap()
}

fn verified(addr: SocketAddr, trust: Option<Trust>) -> Config {
    let mut config = config(addr);
    let upstream = UpstreamConfig::new("gpu0", format!("https://{addr}").parse().unwrap());
    config.upstream.upstreams = vec![UpstreamConfig { tls: trust, ..upstream }];
    config.upstream.health_interval = Duration::from_millis(100);
    config
}

/// The response of `/readyz` after the first probe.
async fn not_ready(sidecar: &crate::harness::Sidecar) -> String {
    let told = async {
        loop {
            let (status, text) = sidecar.page("/readyz").await;
            assert_eq!(status, 503, "{text}");
            if text.contains('(') {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(told).await
}

/// A complete stream through it.
async fn is_streamed(sidecar: &crate::harness::Sidecar, upstream: &mut Upstream) {
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    let answer = client.rest().await;
    assert!(answer.ends_with(&[&chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()), "{answer}");
}

#[tokio::test]
async fn https_upstream_with_trusted_certificate_is_used_and_probed() {
    let authority = Authority::new("ours");
    let mut upstream = upstream().await;
    let addr = before(upstream.addr, &authority.issue("127.0.0.1"), None).await;
    let sidecar = sidecar(verified(addr, Some(Trust::only(only(&authority), None)))).await;
    sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
    is_streamed(&sidecar, &mut upstream).await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
}

#[tokio::test]
async fn https_upstream_with_wrong_certificate_is_never_used_and_reason_is_reported() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let trust = || Some(Trust::only(only(&authority), None));
    for (issued, trust, why) in [
        (stranger.issue("127.0.0.1"), trust(), "invalid peer certificate: UnknownIssuer"),
        (authority.issue("127.0.0.1"), None, "invalid peer certificate: UnknownIssuer"),
        (authority.issue("127.0.0.2"), trust(), "not valid for name"),
        (authority.issue_until("127.0.0.1", 2001), trust(), "certificate expired"),
    ] {
        let mut upstream = upstream().await;
        let addr = before(upstream.addr, &issued, None).await;
        let sidecar = sidecar(verified(addr, trust)).await;
        let told = not_ready(&sidecar).await;
        assert!(told.starts_with("no upstream answers: gpu0 (") && told.contains(why), "{told}");
        let answer = sidecar.exchange(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(why), "{answer}");
        sidecar.until(&ended("generate", "other", "upstream_error"), 1.0).await;
        upstream.was_not_asked();
    }
}

#[tokio::test]
async fn https_upstream_that_requires_client_certificate_gets_the_newest() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("of clients"));
    let mut upstream = upstream().await;
    let addr = before(upstream.addr, &authority.issue("127.0.0.1"), Some(&clients)).await;
    let shows = |issued: &Issued| Some(Trust::only(only(&authority), Some(identity(issued))));
    for wrong in [Some(Trust::only(only(&authority), None)), shows(&authority.issue("us"))] {
        let bound = Sidecar::builder().config(verified(addr, wrong)).bind().await.unwrap();
        let (reload, sidecar) = (bound.reload(), run(bound));
        let told = not_ready(&sidecar).await;
        assert!(told.contains("received fatal alert"), "{told}");
        let answer = sidecar.exchange(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        upstream.was_not_asked();

        reload.apply(&verified(addr, shows(&clients.issue("us"))));
        sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
        is_streamed(&sidecar, &mut upstream).await;
    }
}

#[tokio::test]
async fn https_upstream_handshake_obeys_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trust = Trust::only(only(&Authority::new("ours")), None);
    let mut config = verified(silent.local_addr().unwrap(), Some(trust));
    config.upstream.connect_timeout = Duration::from_millis(300);
    let sidecar = sidecar(config).await;
    let answer = sidecar.exchange(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("within 300ms"), "{answer}");
}

#[tokio::test]
async fn https_upstream_without_tls_or_with_unknown_name_is_an_error() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    let trust = Trust::only(only(&Authority::new("ours")), None);
    let sidecar = sidecar(verified(addr, Some(trust.clone()))).await;
    let answer = sidecar.exchange(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("is unreachable"), "{answer}");

    let mut config = verified(addr, Some(trust));
    config.upstream.upstreams[0].url = "https://a*b".parse().unwrap();
    let error = Sidecar::builder().config(config).bind().await.unwrap_err();
    assert!(matches!(error, BindError::Upstream(_)), "{error}");
    assert!(error.to_string().contains("\"gpu0\": \"a*b\" is not a host name"), "{error}");
}
