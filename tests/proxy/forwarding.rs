//! Requests and responses arrive as they were sent.

mod ahead;
#[cfg(feature = "coding")]
mod coded;
mod fields;
mod kept_alive;
mod simulated;

use super::harness::*;

#[tokio::test]
async fn request_arrives_unchanged_without_hop_by_hop_fields() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar
        .send(
            "GET /api/%74AGS/..//x?b=%20%2F&a=1;c HTTP/1.1\r\nUser-Agent: U\r\nhost: elsewhere:1\r\nX-lower-UPPER: 1\r\n\
             Connection: X-Hop, keep-alive\r\nX-Hop: gone\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: a\r\n\
             aCCEPT: a\r\nX-Two: 1\r\nX-Two: 2\r\nAuthorization: Bearer kept\r\n\r\n",
        )
        .await;
    let mut asked = upstream.asked().await;
    let expected = format!(
        "GET /api/%74AGS/..//x?b=%20%2F&a=1;c HTTP/1.1\r\nUser-Agent: U\r\nhost: {}\r\nX-lower-UPPER: 1\r\n\
         aCCEPT: a\r\nX-Two: 1\r\nX-Two: 2\r\nAuthorization: Bearer kept\r\n\r\n",
        upstream.addr
    );
    assert_eq!(asked.head, expected);
    asked
        .write(
            "HTTP/1.1 418 Short And Stout\r\nX-second: 2\r\nx-FIRST: 1\r\nConnection: x-secret, keep-alive\r\n\
             X-Secret: gone\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nabc",
        )
        .await;
    assert_eq!(
        client.until("abc").await,
        "HTTP/1.1 418 Short And Stout\r\nX-second: 2\r\nx-FIRST: 1\r\nContent-Length: 3\r\nSet-Cookie: a\r\n\
         Set-Cookie: b\r\n\r\nabc"
    );
}

#[tokio::test]
async fn chunks_are_forwarded_one_by_one_as_they_arrive() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(STREAM).await;
    assert!(client.until("\r\n\r\n").await.contains("Transfer-Encoding: chunked"));
    for text in [RECORD, "{\"half", "of\":1}\n{\"and\":2}\n", LAST] {
        asked.write(&chunk(text)).await;
        // If it were held back, this would never return.
        assert_eq!(client.until(text).await, chunk(text).trim_end_matches("\r\n"));
        client.until("\r\n").await;
    }
    asked.write("0\r\n\r\n").await;
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
}

#[tokio::test]
async fn connections_are_reused_on_both_sides() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&post("/api/show", "{}")).await;
    let mut asked = upstream.asked().await;
    for _ in 0..3 {
        asked.body(2).await;
        asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        client.until("ok").await;
        client.write(&post("/api/show", "{}")).await;
        asked = soon(Asked::read(asked.stream)).await.expect("the same connection");
    }
}

#[tokio::test]
async fn response_without_body_is_complete_with_any_content_type() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let no_content = STREAM.replace("200 OK", "204 No Content").replace("Transfer-Encoding: chunked\r\n", "");
    // Routes whose streams end with a record of their own.
    for (request, answer) in [
        ("HEAD /api/blobs/sha256:0", STREAM.to_owned()),
        ("HEAD /api/blobs/sha256:0", STREAM.replace("application/x-ndjson", "text/event-stream")),
        ("HEAD /api/blobs/sha256:0", STREAM.replace("Transfer-Encoding: chunked", "Content-Length: 900")),
        ("GET /v1/models", no_content),
        ("GET /v1/models", STREAM.replace("200 OK", "304 Not Modified")),
    ] {
        let client =
            sidecar.send(&format!("{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
        upstream.asked().await.write(&answer).await;
        let seen = client.rest().await;
        assert!(seen.ends_with("\r\n\r\n"), "a body came: {seen}");
    }
    sidecar.until(&ended("blobs", "none", "complete"), 3.0).await;
    sidecar.until(&ended("openai_models", "none", "complete"), 2.0).await;
    // A stream without a record counts as broken off.
    let mut client = sidecar.send(&generate()).await;
    let empty = STREAM.replace("Transfer-Encoding: chunked", "Content-Length: 0");
    upstream.asked().await.write(&empty).await;
    client.until("\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "truncated"), 1.0).await;
}

#[tokio::test]
async fn response_without_body_keeps_its_fields() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (request, answer) in [
        ("HEAD /api/blobs/sha256:0 HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-A: 1\r\n\r\n"),
        ("HEAD / HTTP/1.1", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET /api/a HTTP/1.1", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        ("GET /api/b HTTP/1.1", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"),
        ("GET /api/c HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let client = sidecar.send(&format!("{request}\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
        upstream.asked().await.write(answer).await;
        let seen = client.rest().await;
        let (status, fields) = answer.split_once("\r\n").unwrap();
        assert!(seen.starts_with(status), "{seen}");
        for field in
            fields.split_terminator("\r\n").filter(|field| !field.is_empty() && !field.contains("chunked"))
        {
            assert!(seen.contains(field), "{field} in {seen}");
        }
        assert!(seen.ends_with("\r\n\r\n"), "a body came: {seen}");
    }
    sidecar.until(&ended("other", "none", "complete"), 3.0).await;
    sidecar.until(&ended("blobs", "none", "complete"), 1.0).await;
    sidecar.until(&ended("root", "none", "client_error"), 1.0).await;
}

#[tokio::test]
async fn trailers_are_forwarded_both_ways() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar
        .send(
            "POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        )
        .await;
    let mut asked = upstream.asked().await;
    assert!(asked.head.contains("\r\nTrailer: X-Sum\r\n"), "{}", asked.head);
    let body = "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    assert_eq!(asked.body(body.len()).await.to_lowercase(), body.to_lowercase());
    asked
        .write("HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-End: 2\r\n\r\n")
        .await;
    let seen = client.until(": 2\r\n\r\n").await.to_lowercase();
    assert!(seen.ends_with("2\r\nhi\r\n0\r\nx-end: 2\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn expect_100_continue_is_answered_and_interim_responses_are_dropped() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar
        .send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .await;
    let mut asked = upstream.asked().await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("abc").await;
    assert_eq!(asked.body(3).await, "abc");
    asked
        .write("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

#[tokio::test]
async fn http_1_0_client_gets_body_that_ends_with_its_connection() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let client =
        sidecar.send("POST /api/generate HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}").await;
    let mut asked = upstream.asked().await;
    assert!(asked.head.starts_with("POST /api/generate HTTP/1.1\r\n"), "{}", asked.head);
    assert!(asked.head.contains(&upstream.addr.to_string()), "{}", asked.head);
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    let seen = client.rest().await;
    assert!(seen.ends_with(&["\r\n\r\n", RECORD, LAST].concat()), "{seen}");
}

#[tokio::test]
async fn stale_upstream_connection_is_no_failure_and_nothing_is_sent_twice() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&post("/api/show", "{}")).await;
    let mut asked = upstream.asked().await;
    asked.body(2).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.until("ok").await;
    // The connection closes while it is idle: the next request finds it closed, or the close crosses the request.
    drop(asked);
    client.write(&post("/api/show", "{}")).await;
    let mut asked = upstream.asked().await;
    asked.body(2).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.until("ok").await;

    // A request that was written and got no response is not repeated, since it may have begun to generate.
    client.write(&post("/api/show", "{}")).await;
    let mut asked = soon(Asked::read(asked.stream)).await.expect("the same connection");
    asked.body(2).await;
    drop(asked);
    assert!(client.until("}").await.starts_with("HTTP/1.1 502 "));
    upstream.was_not_asked();
}

#[test]
fn runtimes_are_used_one_per_512_connections() {
    use std::{sync::mpsc, thread};

    use streamgauge::sidecar::Sidecar;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        runtime::Builder,
        sync::oneshot,
    };

    // Two runtimes that do nothing until they get connections.
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (told, handle) = mpsc::sync_channel(1);
            let (stop, stopped) = oneshot::channel::<()>();
            let thread = thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                told.send(runtime.handle().clone()).unwrap();
                let _ = runtime.block_on(stopped);
            });
            (handle.recv().unwrap(), stop, thread)
        })
        .collect();
    let handles: Vec<_> = workers.iter().map(|(handle, ..)| handle.clone()).collect();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut upstream = upstream().await;
        let mut config = config(upstream.addr);
        // It has a task on each runtime.
        config.collectors.lag = None;
        let bound = Sidecar::builder().config(config).runtimes(handles.clone()).bind().await.unwrap();
        let proxy = bound.proxy_addr();
        let run = tokio::spawn(bound.run(std::future::pending()));
        // One runtime is enough for the first 512 connections.
        let mut clients = Vec::new();
        for connections in [1, 513] {
            while clients.len() + 1 < connections {
                clients.push(soon(TcpStream::connect(proxy)).await.unwrap());
            }
            let mut client = soon(TcpStream::connect(proxy)).await.unwrap();
            client.write_all(post("/api/show", "{}").as_bytes()).await.unwrap();
            let mut asked = upstream.asked().await;
            asked.body(2).await;
            asked.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
            let mut answer = [0; 40];
            soon(client.read_exact(&mut answer)).await.unwrap();
            assert!(answer.ends_with(b"ok"));
            clients.push(client);
            let working = handles.iter().filter(|handle| handle.metrics().num_alive_tasks() > 0).count();
            assert_eq!(working, connections.div_ceil(512));
        }
        run.abort();
    });
    for (_, stop, thread) in workers {
        drop(stop);
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn absolute_target_is_forwarded_in_origin_form() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let _client =
        sidecar.send("GET http://evil.example/api/show?x=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head, format!("GET /api/show?x=1 HTTP/1.1\r\nHost: {}\r\n\r\n", upstream.addr));
    let _client = sidecar.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert!(asked.head.starts_with("OPTIONS * HTTP/1.1\r\n"), "{}", asked.head);
}

#[tokio::test]
async fn response_that_ends_before_its_request_arrives_complete() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    // An unwanted body is not read to its end.
    let request = "GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    // Bytes that follow soon enough to be held back must not be left behind. One success shows it.
    for _ in 0..20 {
        let client = sidecar.send(request).await;
        let mut asked = upstream.asked().await;
        asked.write(STREAM).await;
        for piece in [chunk(RECORD), chunk(RECORD), chunk(LAST), "0\r\n\r\n".to_owned()] {
            asked.write(&piece).await;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let seen = client.rest().await;
        assert!(seen.ends_with(&format!("{}0\r\n\r\n", chunk(LAST))), "{seen}");
    }
}
