//! Compressed bodies pass unchanged and are measured nevertheless.

use std::{io::Write, time::Duration};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use streamgauge::shaping::OpenAiUsage;
use streamgauge_simulate as simulate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

const LAST: &str = "{\"response\":\"\",\"done\":true,\"prompt_eval_count\":5,\"eval_count\":3}\n";

/// Three records and the last one, each flushed, from Google's encoder.
const BROTLI: [&[u8]; 4] = [
    b"\x83\x14\x00\x00\x04\xea\x64\x5d\x89\x97\x85\xa4\x35\x1b\xcd\xcf\xba\x81\x0d\x38\x0e\x14\xdb\x97\x81\xe1\x16\xb2\x2d\x75\x0e\x6d\xf5\x10\x08\xc7\x23\x64\x32\xca\xd3\x61\x6f",
    b"\x48\x01\x00\x40\x02\x20\x8c\x09\x8b\xda\x00",
    b"\x48\x01\x00\x40\x02\x20\x8c\x08\x80\x0c",
    b"\xc1\x04\x00\x40\x74\x72\x9e\xe0\xf9\xd6\x92\x4c\x02\x6a\x7d\x2d\x0d\x1c\x72\x2e\x67\xab\x2d\xf0\x08\x43\xab\x05\xc2\x3b\xb1\xa8\xf9\x63\x09\xed\xb4\xae\xe2\x76\xa3\x87\x0c\x82\xfa\x1b",
];

/// The compressed bytes of each record.
fn flushed<W: Write>(
    mut encoder: W,
    take: impl Fn(&mut W) -> &mut Vec<u8>,
    end: impl Fn(W) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for record in [RECORD, RECORD, RECORD, LAST] {
        encoder.write_all(record.as_bytes()).unwrap();
        encoder.flush().unwrap();
        pieces.push(std::mem::take(take(&mut encoder)));
    }
    pieces.push(end(encoder));
    pieces
}

fn coded(coding: &str) -> Vec<Vec<u8>> {
    let level = Compression::default();
    match coding {
        "gzip" => flushed(GzEncoder::new(vec![], level), |one| one.get_mut(), |one| one.finish().unwrap()),
        "deflate" => {
            flushed(ZlibEncoder::new(vec![], level), |one| one.get_mut(), |one| one.finish().unwrap())
        }
        "raw" => {
            flushed(DeflateEncoder::new(vec![], level), |one| one.get_mut(), |one| one.finish().unwrap())
        }
        "zstd" => flushed(
            zstd::stream::write::Encoder::new(vec![], 3).unwrap(),
            |one| one.get_mut(),
            |one| one.finish().unwrap(),
        ),
        _ => BROTLI.map(<[u8]>::to_vec).to_vec(),
    }
}

/// The head of a compressed stream.
fn head(coding: &str) -> String {
    let coding = if coding == "raw" { "deflate" } else { coding };
    STREAM.replacen("\r\n\r\n", &format!("\r\nContent-Encoding: {coding}\r\n\r\n"), 1)
}

async fn write(asked: &mut Asked, piece: &[u8]) {
    let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    soon(asked.stream.write_all(&framed)).await.unwrap();
}

/// The bytes that the client receives of a body that is sent in these pieces, each after it has seen the one before.
async fn passed(sidecar: &Sidecar, upstream: &mut Upstream, head: &str, pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(head).await;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        write(&mut asked, piece).await;
    }
    asked.write("0\r\n\r\n").await;
    let mut seen = Vec::new();
    soon(client.stream.read_to_end(&mut seen)).await.unwrap();
    let body = seen.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    dechunked(&seen[body..])
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let line = body.windows(2).position(|end| end == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return data;
        }
        data.extend_from_slice(&body[line + 2..line + 2 + length]);
        body = &body[line + length + 4..];
    }
}

#[tokio::test]
async fn compressed_stream_passes_unchanged_and_is_measured() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (count, coding) in ["gzip", "deflate", "raw", "br", "zstd"].into_iter().enumerate() {
        let pieces = coded(coding);
        let seen = passed(&sidecar, &mut upstream, &head(coding), &pieces).await;
        assert!(seen == pieces.concat(), "{coding}");
        let count = count as f64 + 1.0;
        sidecar.until(&ended("generate", "m:latest", "complete"), count).await;
        assert_eq!(
            sidecar.value("tokens_total{model=\"m:latest\",kind=\"output\"}"),
            3.0 * count,
            "{coding}"
        );
        assert_eq!(
            sidecar.value("records_total{model=\"m:latest\",kind=\"content\"}"),
            3.0 * count,
            "{coding}"
        );
        let first = "time_to_first_token_seconds_count{route=\"generate\",model=\"m:latest\"}";
        assert_eq!(sidecar.value(first), count, "{coding}");
    }
    assert_eq!(sidecar.value("records_unscanned_total{reason=\"coding\"}"), 0.0);
}

#[tokio::test]
async fn compressed_record_is_measured_when_it_arrives() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (count, coding) in ["gzip", "deflate", "raw", "br", "zstd"].into_iter().enumerate() {
        let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&head(coding)).await;
        write(&mut asked, &coded(coding)[0]).await;
        let first = "time_to_first_token_seconds_count{route=\"generate\",model=\"m:latest\"}";
        sidecar.until(first, count as f64 + 1.0).await;
        drop(client);
        asked.is_left().await;
    }
}

#[tokio::test]
async fn compressed_stream_without_last_record_is_truncated() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let pieces = &coded("zstd")[..3];
    let seen = passed(&sidecar, &mut upstream, &head("zstd"), pieces).await;
    assert!(seen == pieces.concat());
    sidecar.until(&ended("generate", "m:latest", "truncated"), 1.0).await;
}

#[tokio::test]
async fn compressed_stream_that_cannot_be_decoded_gets_outcome_from_framing() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let plain = vec![RECORD.into(), LAST.into()];
    let broken = vec![coded("gzip")[0].clone(), b"this is no gzip".repeat(9), LAST.into()];
    for (count, (coding, pieces)) in
        [("dcz", &plain), ("gzip, br", &plain), ("zstd", &plain), ("gzip", &broken)].into_iter().enumerate()
    {
        let seen = passed(&sidecar, &mut upstream, &head(coding), pieces).await;
        assert!(seen == pieces.concat(), "{coding}");
        let count = count as f64 + 1.0;
        sidecar.until(&ended("generate", "m:latest", "complete"), count).await;
        assert_eq!(sidecar.value("records_unscanned_total{reason=\"coding\"}"), count, "{coding}");
    }
    // A body that breaks off does not look complete.
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&head("dcz")).await;
    write(&mut asked, b"some").await;
    drop(asked);
    client.rest().await;
    sidecar.until(&ended("generate", "m:latest", "upstream_error"), 1.0).await;
}

#[tokio::test]
async fn compressed_response_without_stream_is_counted() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(LAST.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let head = head("gzip").replace("x-ndjson", "json");
    let seen = passed(&sidecar, &mut upstream, &head, &[body[..9].to_vec(), body[9..].to_vec()]).await;
    assert!(seen == body);
    sidecar.until("tokens_total{model=\"m:latest\",kind=\"output\"}", 3.0).await;
}

#[tokio::test]
async fn compressed_stream_is_never_shaped() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.merge = true;
    config.shaping.pace = 1;
    let sidecar = sidecar(config).await;
    let pieces = coded("gzip");
    assert!(passed(&sidecar, &mut upstream, &head("gzip"), &pieces).await == pieces.concat());
    assert_eq!(sidecar.value("shaping_records_in_total"), 0.0);
    sidecar.until("tokens_total{model=\"m:latest\",kind=\"output\"}", 3.0).await;
}

/// A request body in a content coding.
fn packed(coding: &str, body: &str) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(vec![], Compression::default());
            encoder.write_all(body.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(body.as_bytes(), 3).unwrap(),
    }
}

async fn send(sidecar: &Sidecar, coding: &str, body: &[u8]) -> Client {
    let mut client = sidecar
        .send(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ))
        .await;
    soon(client.stream.write_all(body)).await.unwrap();
    client
}

#[tokio::test]
async fn compressed_request_goes_to_upstream_that_has_its_model() {
    // These two requests are forwarded and counted, but nothing is generated, since Ollama cannot read the body.
    let sidecar = before_two(simulate::Config::default()).await;
    for round in 1..=2 {
        for coding in ["gzip", "zstd"] {
            let body = format!(
                "{{\"messages\":[{{\"content\":\"{}\"}}],\"model\":\"model1\"}}",
                "w ".repeat(2 << 20)
            );
            let client = send(&sidecar, coding, &packed(coding, &body)).await;
            let _ = client.rest().await;
        }
        let sent = || {
            ["complete", "client_error", "in_band_error", "upstream_error"].map(|outcome| {
                sidecar.value(&format!(
                    "requests_total{{upstream=\"gpu1\",route=\"openai_chat\",model=\"model1:latest\",outcome=\"{outcome}\"}}"
                ))
            })
        };
        let all = async {
            while sent().iter().sum::<f64>() < 2.0 * f64::from(round) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(all).await;
    }
    assert_eq!(sidecar.value("read_ahead_stopped_total{reason=\"coding\"}"), 0.0);
}

#[tokio::test]
async fn compressed_request_passes_unchanged_or_gets_usage_in_same_coding() {
    for (openai_usage, tail) in
        [(OpenAiUsage::Off, ""), (OpenAiUsage::Inject, ",\"stream_options\":{\"include_usage\":true}")]
    {
        let mut upstream = upstream().await;
        let mut config = config(upstream.addr);
        config.shaping.openai_usage = openai_usage;
        let sidecar = sidecar(config).await;
        for coding in ["gzip", "zstd"] {
            let text = format!("{{\"messages\":\"{}\",\"model\":\"m\",\"stream\":true", "w ".repeat(1 << 20));
            let body = packed(coding, &format!("{text}}}"));
            let client = send(&sidecar, coding, &body).await;
            let mut asked = upstream.asked().await;
            assert!(asked.head.contains(&format!("Content-Encoding: {coding}\r\n")), "{}", asked.head);
            let length = asked.head.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
            let mut seen = vec![0; length.parse().unwrap()];
            soon(asked.stream.read_exact(&mut seen)).await.unwrap();
            if tail.is_empty() {
                assert!(seen == body, "{coding}");
            } else {
                let mut decoded = String::new();
                match coding {
                    "gzip" => std::io::Read::read_to_string(
                        &mut flate2::read::GzDecoder::new(&seen[..]),
                        &mut decoded,
                    ),
                    _ => std::io::Read::read_to_string(
                        &mut zstd::Decoder::new(&seen[..]).unwrap(),
                        &mut decoded,
                    ),
                }
                .unwrap();
                assert!(decoded == format!("{text}{tail}}}"), "{coding}");
            }
            asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            assert!(client.rest().await.ends_with("{}"));
        }
        sidecar.until(&ended("openai_chat", "m:latest", "complete"), 2.0).await;
    }
}

#[tokio::test]
async fn compressed_request_that_cannot_be_decoded_passes_and_is_counted() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    // Including a bomb: 64 MiB in a few bytes.
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 3).unwrap();
    for (count, (coding, body)) in
        [("dcz", &b"{\"model\":\"m\"}"[..]), ("zstd", b"{\"model\":\"m\"}"), ("zstd", &bomb)]
            .into_iter()
            .enumerate()
    {
        let client = send(&sidecar, coding, body).await;
        let mut asked = upstream.asked().await;
        let mut seen = vec![0; body.len()];
        soon(asked.stream.read_exact(&mut seen)).await.unwrap();
        assert!(seen == body, "{coding}");
        asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        client.rest().await;
        let count = count as f64 + 1.0;
        assert_eq!(sidecar.value("read_ahead_stopped_total{reason=\"coding\"}"), count);
        sidecar.until(&ended("openai_chat", "unknown", "complete"), count).await;
    }
}

/// The request at the upstream and the response at the client, if the usage of a stream is requested and removed again. The
/// upstream compresses as a TLS terminator may, if the request allows it.
async fn stripped(accepts: &str) -> (Asked, String) {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.openai_usage = OpenAiUsage::InjectAndStrip;
    let sidecar = sidecar(config).await;
    let body = "{\"model\":\"m\",\"stream\":true}";
    let request = post_once("/v1/chat/completions", body);
    let client = sidecar.send(&request.replacen("\r\n", &format!("\r\n{accepts}"), 1)).await;
    let mut asked = upstream.asked().await;
    let is_asked = !asked.head.contains(&format!("Content-Length: {}\r\n", body.len()));
    let records = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        if is_asked { "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\n" } else { "" },
        "data: [DONE]\n\n",
    ];
    let is_coded = asked.head.to_lowercase().contains("accept-encoding: gzip");
    let coding = if is_coded { "Content-Encoding: gzip\r\n" } else { "" };
    asked
        .write(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{coding}Transfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
    let text = records.concat();
    let bytes = if is_coded { packed("gzip", &text) } else { text.into_bytes() };
    write(&mut asked, &bytes).await;
    asked.write("0\r\n\r\n").await;
    let mut client = client;
    let mut seen = Vec::new();
    soon(client.stream.read_to_end(&mut seen)).await.unwrap();
    let body = seen.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let seen = dechunked(&seen[body..]);
    let seen = if is_coded {
        std::io::read_to_string(flate2::read::GzDecoder::new(&seen[..])).unwrap()
    } else {
        String::from_utf8(seen).unwrap()
    };
    (asked, seen)
}

#[tokio::test]
async fn usage_to_strip_is_requested_uncompressed_and_not_sent_to_client() {
    for accepts in ["", "Accept-Encoding: gzip, br\r\n", "Accept-Encoding: gzip\r\naccept-encoding: br\r\n"] {
        let (asked, seen) = stripped(accepts).await;
        assert!(seen.ends_with("data: [DONE]\n\n") && seen.contains("\"a\""), "{accepts}: {seen}");
        assert!(!seen.contains("usage"), "{accepts}: {seen}");
        let head = asked.head.to_lowercase();
        assert_eq!(head.matches("accept-encoding: ").count(), 1, "{head}");
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    }
    // A client that accepts only compressed responses is not given the usage, since it is not requested.
    let (asked, seen) = stripped("Accept-Encoding: gzip, identity;q=0\r\n").await;
    assert!(asked.head.contains("Accept-Encoding: gzip, identity;q=0\r\n"), "{}", asked.head);
    assert!(!seen.contains("usage") && seen.ends_with("[DONE]\n\n"), "{seen}");
}
