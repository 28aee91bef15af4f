//! The responses of the admin address.

mod requests;
mod surroundings;

use std::{io::Read, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::harness::*;

#[tokio::test]
async fn readiness_after_first_answer_of_upstream_is_200() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
    assert_eq!(sidecar.page("/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(sidecar.page("/livez").await, (200, "alive\n".to_owned()));
}

#[tokio::test]
async fn readiness_without_answering_upstream_is_503_and_names_it() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sidecar = sidecar(config(nobody)).await;
    let (status, told) = sidecar.page("/readyz").await;
    assert_eq!(status, 503);
    // The reason, once the upstream was probed.
    assert!(told.starts_with("no upstream answers: gpu0"), "{told}");
    assert_eq!(sidecar.page("/livez").await.0, 200);
}

#[tokio::test]
async fn running_streams_are_listed_without_their_text() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut client = sidecar.send(&post("/api/generate", "{\"model\":\"m\",\"prompt\":\"sesame\"}")).await;
    let mut asked = upstream.asked().await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk("{\"response\":\"treasure\"}\n")].concat()).await;
    client.until("treasure").await;
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 1.0).await;
    let (status, text) = sidecar.page("/streams").await;
    assert_eq!(status, 200);
    assert!(!text.contains("sesame") && !text.contains("treasure"), "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    let [stream] = &page["streams"].as_array().unwrap()[..] else { panic!("{text}") };
    assert_eq!(stream["route"], "generate");
    assert_eq!(stream["model"], "m:latest");
    assert_eq!(stream["upstream"], "gpu0");
    assert_eq!(stream["tokens"], 2);
    assert_eq!(stream["decoding"], true);
    assert_eq!(stream["client_backpressure_seconds"], 0.0);
    for quantile in ["gap_p50_seconds", "gap_p99_seconds"] {
        assert!(stream[quantile].is_null(), "there is no gap yet: {text}");
    }
    assert!(stream["age_seconds"].as_f64().unwrap() > 0.0);
    drop(client);
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 0.0).await;
    assert_eq!(sidecar.page("/streams").await.1, "{\"limits\":[],\"streams\":[]}\n");
}

#[tokio::test]
async fn page_is_one_response_and_its_data_is_json_with_any_model_name() {
    let hostile = "\"><script>alert(1)</script>:1";
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let response = reqwest::get(format!("http://{}/", sidecar.admin)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));

    let body = serde_json::json!({"model": hostile, "prompt": "sesame"}).to_string();
    let mut client = sidecar.send(&post("/api/generate", &body)).await;
    let mut asked = upstream.asked().await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until("\n").await;
    for path in ["/overview", "/streams"] {
        let response = reqwest::get(format!("http://{}{path}", sidecar.admin)).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let text = response.text().await.unwrap();
        assert!(!text.contains("sesame"), "{text}");
        let json: Value = serde_json::from_str(&text).unwrap();
        let shown = json.pointer("/streams/shown/0/model").or(json.pointer("/streams/0/model"));
        assert_eq!(shown.unwrap(), hostile);
    }
    let (_, nonsense) = sidecar.page("/overview?began=x&after=-1&after=NaN&&=").await;
    let overview: Value = serde_json::from_str(&nonsense).unwrap();
    assert_eq!(overview["upstreams"][0]["name"], "gpu0");
    assert_eq!(overview["streams"]["running"], 1);
}

#[tokio::test]
async fn metrics_are_text_format_and_other_paths_and_methods_are_refused() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let url = format!("http://{}/metrics", sidecar.admin);
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4");
    let text = response.text().await.unwrap();
    assert!(text.contains("streamgauge_build_info{version=\"") && text.contains("# TYPE"), "{text}");
    let client = reqwest::Client::new();
    let head = client.head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 1000);
    let refused = client.post(&url).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    assert_eq!(sidecar.page("/nothing").await.0, 404);
}

/// A sidecar whose admin address requires a token.
async fn guarded() -> Sidecar {
    let upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admin.token = Some(streamgauge::admin::Token::of(b"sesame"));
    sidecar(config).await
}

#[tokio::test]
async fn admin_token_admits_only_requests_that_show_it() {
    let sidecar = guarded().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = reqwest::Client::new().get(format!("http://{}{path}", sidecar.admin));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        soon(request.send()).await.unwrap()
    };
    for path in ["/livez", "/metrics", "/", "/streams", "/overview", "/nothing"] {
        let is_open = path == "/livez";
        let refused = ask(path, None).await;
        assert_eq!(refused.status() == 401, !is_open, "{path}");
        assert_eq!(refused.headers().get_all("www-authenticate").iter().count(), if is_open { 0 } else { 2 });
        assert_ne!(ask(path, Some("sesame")).await.status(), 401, "{path}");
    }
    assert_ne!(ask("/readyz", None).await.status(), 401);
    assert_eq!(ask("/metrics", Some("mellon")).await.status(), 401);
    assert_eq!(sidecar.value("admin_requests_refused_total{reason=\"missing\"}"), 5.0);
    assert_eq!(sidecar.value("admin_requests_refused_total{reason=\"wrong\"}"), 1.0);
}

/// A client of the admin address with this source address.
async fn admin_client(sidecar: &Sidecar, from: [u8; 4]) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    Client { stream: soon(socket.connect(sidecar.admin)).await.unwrap() }
}

/// The status of a response on a persistent connection.
async fn status(client: &mut Client, token: &str) -> u16 {
    let request = format!("GET /streams HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.write(&request).await;
    let head = client.until("\r\n\r\n").await.to_ascii_lowercase();
    let length = head.split_once("content-length: ").unwrap().1.split_once("\r\n").unwrap().0;
    let mut body = vec![0; length.parse().unwrap()];
    soon(client.stream.read_exact(&mut body)).await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(status == 429, head.contains("retry-after: "), "{head}");
    status
}

#[tokio::test]
async fn admin_token_guesses_are_limited_and_never_lock_out_known_clients() {
    let sidecar = guarded().await;
    let (prometheus, guesser, other) = ([127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]);
    let mut reads = admin_client(&sidecar, prometheus).await;
    assert_eq!(status(&mut reads, "sesame").await, 200);

    let mut seen = Vec::new();
    for _ in 0..4 {
        let mut guesses = admin_client(&sidecar, guesser).await;
        for _ in 0..50 {
            seen.push(status(&mut guesses, "mellon").await);
        }
        // Even the right token is not checked, since a guesser must not learn that it is right.
        assert_eq!(status(&mut guesses, "sesame").await, 429);
    }
    // Ten at once, and one more for each six seconds that this took.
    let looked_at = seen.iter().filter(|status| **status == 401).count();
    assert!((10..=15).contains(&looked_at), "{looked_at} of {}", seen.len());
    assert!(seen.iter().all(|status| [401, 429].contains(status)));

    // Another address has its own attempts, and Prometheus continues on this connection and on a new one.
    assert_eq!(status(&mut admin_client(&sidecar, other).await, "mellon").await, 401);
    assert_eq!(status(&mut reads, "sesame").await, 200);
    assert_eq!(status(&mut admin_client(&sidecar, prometheus).await, "sesame").await, 200);
    // Even if other clients at its own address use up the attempts of the address.
    let mut guesses = admin_client(&sidecar, prometheus).await;
    while status(&mut guesses, "mellon").await != 429 {}
    assert_eq!(status(&mut reads, "sesame").await, 200);
    assert!(sidecar.value("admin_requests_refused_total{reason=\"limited\"}") > 100.0);
}

#[tokio::test]
async fn admin_idle_connections_are_replaced_and_livez_answers() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let live = async || {
        let mut client = admin_client(&sidecar, [127, 0, 0, 1]).await;
        client.write("GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        assert!(client.rest().await.ends_with("alive\n"));
    };
    for sends in ["", "GET /metrics HTTP/1.1\r\nHo", "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let mut idle = Vec::new();
        for number in 0..200 {
            let mut client = admin_client(&sidecar, [127, 0, 0, 1]).await;
            client.write(sends).await;
            idle.push(client);
            if number % 20 == 0 {
                live().await;
            }
        }
        for _ in 0..20 {
            live().await;
        }
    }
    assert_eq!(
        sidecar.value("connections_refused_total{listener=\"admin\",reason=\"max_connections\"}"),
        0.0
    );
    assert!(sidecar.value("connections_refused_total{listener=\"admin\",reason=\"idle\"}") > 300.0);
    sidecar.until("connections_open{listener=\"admin\"}", 0.0).await;
}

#[tokio::test]
async fn admin_clients_that_do_not_read_are_replaced_and_livez_answers() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let mut held = Vec::new();
    for _ in 0..64 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut client = Client { stream: soon(socket.connect(sidecar.admin)).await.unwrap() };
        // More responses than the system buffers for a client.
        client.write(&"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(300)).await;
        held.push(client);
    }
    for _ in 0..20 {
        assert_eq!(soon(sidecar.page("/livez")).await.0, 200);
    }
    assert_eq!(
        sidecar.value("connections_refused_total{listener=\"admin\",reason=\"max_connections\"}"),
        0.0
    );
}

#[tokio::test]
async fn admin_response_to_refused_upload_and_malformed_head_reaches_client() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let fields = (0..200).map(|at| format!("X-{at}: a\r\n")).collect::<String>();
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n".to_owned(), "405"),
        ("GET /metrics HTTP/1.1\r\nHost : h\r\n\r\n".to_owned(), "400"),
        (format!("GET /metrics HTTP/1.1\r\n{fields}\r\n"), "431"),
    ] {
        let mut client = admin_client(&sidecar, [127, 0, 0, 1]).await;
        client.write(&request).await;
        for _ in 0..20 {
            soon(client.stream.write_all(&[b'a'; 100_000])).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut seen = Vec::new();
        soon(client.stream.read_to_end(&mut seen)).await.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{seen}");
    }
}

/// Requests `/metrics` with this `Accept-Encoding`.
async fn metrics(sidecar: &Sidecar, method: reqwest::Method, accepts: Option<&str>) -> reqwest::Response {
    let request = reqwest::Client::new().request(method, format!("http://{}/metrics", sidecar.admin));
    let request =
        accepts.into_iter().fold(request, |request, coding| request.header("accept-encoding", coding));
    request.send().await.unwrap()
}

#[tokio::test]
async fn metrics_are_gzipped_only_for_client_that_accepts_gzip() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for accepts in [None, Some("identity"), Some("gzip;q=0, *"), Some("br")] {
        let plain = metrics(&sidecar, reqwest::Method::GET, accepts).await;
        assert_eq!(plain.headers().get("content-encoding"), None, "{accepts:?}");
        assert_eq!(plain.headers()["vary"], "accept-encoding");
        assert!(plain.text().await.unwrap().starts_with("# HELP "), "{accepts:?}");
    }
    for accepts in ["gzip", "deflate, gzip;q=0.5"] {
        let coded = metrics(&sidecar, reqwest::Method::GET, Some(accepts)).await;
        assert_eq!(coded.headers()["content-encoding"], "gzip");
        assert_eq!(coded.headers()["vary"], "accept-encoding");
        assert!(coded.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
        let coded = coded.bytes().await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&coded[..]).read_to_string(&mut text).unwrap();
        assert!(text.starts_with("# HELP ") && text.ends_with('\n'), "{text}");
        assert!(text.contains("\nstreamgauge_build_info{"), "{text}");
        assert!(coded.len() * 4 < text.len(), "{} of {}", coded.len(), text.len());
    }
    let head = metrics(&sidecar, reqwest::Method::HEAD, Some("gzip")).await;
    assert_eq!(head.headers()["content-encoding"], "gzip");
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 1000);
}

/// A scrape with this `Accept`: its type and its text.
async fn scraped_as(sidecar: &Sidecar, accept: &str) -> (String, String) {
    let request = reqwest::Client::new().get(format!("http://{}/metrics", sidecar.admin));
    let response = request.header("accept", accept).send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, response.text().await.unwrap())
}

#[tokio::test]
async fn openmetrics_with_trace_of_sampled_stream_is_for_scraper_that_asks_for_it() {
    const ASKS: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3";
    let mut upstream = upstream().await;
    let mut settings = config(upstream.addr);
    settings.admin.openmetrics = true;
    let sidecar = sidecar(settings).await;
    for (trace, flags) in [("aa", "01"), ("bb", "00")] {
        let parent = format!("\r\ntraceparent: 00-{}-00f067aa0ba902b7-{flags}\r\n\r\n", trace.repeat(16));
        let mut client = sidecar.send(&generate().replacen("\r\n\r\n", &parent, 1)).await;
        let mut asked = upstream.asked().await;
        assert!(asked.head.contains(parent.trim()), "it is forwarded: {}", asked.head);
        asked.body(13).await;
        asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
        client.until(RECORD).await;
        asked.write(&chunk(RECORD)).await;
        client.until(RECORD).await;
        asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
        client.until("0\r\n\r\n").await;
    }
    sidecar.until(&ended("generate", "m:latest", "complete"), 2.0).await;

    let (kind, page) = scraped_as(&sidecar, ASKS).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    for line in [
        "# TYPE streamgauge_busy_seconds counter",
        "# UNIT streamgauge_busy_seconds seconds",
        "# TYPE streamgauge_chunk_gap_seconds histogram",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}");
    }
    assert!(page.contains("\nstreamgauge_busy_seconds_total{upstream=\"gpu0\"} "));
    for series in [
        "streamgauge_request_duration_seconds_bucket{route=\"generate\",model=\"m:latest\",le=\"",
        "streamgauge_time_to_first_token_seconds_bucket{route=\"generate\",model=\"m:latest\",le=\"",
        "streamgauge_chunk_gap_seconds_bucket{model=\"m:latest\",at=\"upstream\",le=\"",
        "streamgauge_chunk_gap_seconds_bucket{model=\"m:latest\",at=\"client\",le=\"",
    ] {
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(series)).collect();
        let with: Vec<_> = lines.iter().filter_map(|line| line.split_once(" # ")).collect();
        let [(bucket, exemplar)] = with[..] else { panic!("not one exemplar: {lines:#?}") };
        let trace = format!("{{trace_id=\"{}\"}} ", "aa".repeat(16));
        let value = exemplar.strip_prefix(&trace).unwrap_or_else(|| panic!("{exemplar}"));
        let value: f64 = value.split(' ').next().unwrap().parse().unwrap();
        let bound = bucket.strip_prefix(series).unwrap().split('"').next().unwrap();
        assert!(bound == "+Inf" || value <= bound.parse().unwrap(), "{bucket} {exemplar}");
    }

    // Each family has one name, and its series follow it.
    let mut names: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two families have one name");
    assert!(!page.contains(" unknown\n"), "a counter does not end with _total");

    let (kind, page) = scraped_as(&sidecar, "text/plain").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(!page.contains("# EOF") && !page.contains("trace_id"), "{page}");
}

#[tokio::test]
async fn native_histograms_are_for_scraper_that_asks_for_protobuf() {
    const ASKS: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let mut upstream = upstream().await;
    let mut settings = config(upstream.addr);
    settings.meter.native_histograms = true;
    let sidecar = sidecar(settings).await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    asked.write(&[&chunk(LAST), "0\r\n\r\n"].concat()).await;
    client.until("0\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;

    let url = format!("http://{}/metrics", sidecar.admin);
    let response = reqwest::Client::new().get(url).header("accept", ASKS).send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    );
    assert_eq!(response.headers()["vary"], "accept, accept-encoding");
    let page = response.bytes().await.unwrap();
    let has = |name: &str| page.windows(name.len()).any(|part| part == name.as_bytes());
    assert!(has("streamgauge_chunk_gap_seconds") && has("streamgauge_build_info"));
    // The other formats have the classic buckets, as without the setting.
    let (kind, page) = scraped_as(&sidecar, "text/plain").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let bounds = page.lines().filter(|line| {
        line.starts_with("streamgauge_chunk_gap_seconds_bucket{model=\"m:latest\",at=\"client\"")
    });
    assert_eq!(bounds.count(), 19, "{page}");
}

#[tokio::test]
async fn metrics_are_text_by_default_even_if_scraper_prefers_protobuf_or_openmetrics() {
    let upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for asked in [
        "application/openmetrics-text;version=1.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ] {
        let (kind, page) = scraped_as(&sidecar, asked).await;
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        assert!(page.starts_with("# HELP ") && !page.contains("# EOF"), "{page}");
    }
}
