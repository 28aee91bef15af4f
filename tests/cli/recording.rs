//! The recording of live traffic, from the streams of clients to the report.

use std::{fs, path::Path};

use serde_json::Value;

use streamgauge::experiment::recording::read;

use super::{wait::until, *};

/// Tokens per second of a stream that runs alone in the simulated Ollama.
const ALONE: f64 = 200.0;
/// The same with four streams: 200 / (1 + 0.5 × 3).
const OF_FOUR: f64 = 80.0;
const TOKENS: u64 = 60;

/// A simulated Ollama with a planted cost of each further stream.
fn simulated() -> (Running, String) {
    let planted = ["--rate", "200", "--contention", "0.5", "--jitter", "0", "--parallel", "8"];
    let quick = ["--load-time", "0s", "--prefill-rate", "0", "--listen", "127.0.0.1:0"];
    let mut simulator = Running::start(&[&["simulate"], &planted[..], &quick[..]].concat());
    let upstream = format!("http://{}", address(&simulator.until("listening"), "ollama="));
    (simulator, upstream)
}

/// A sidecar in front of this upstream that records to this folder.
pub(super) fn recording(upstream: &str, folder: &Path, settings: &str) -> (Running, [String; 2]) {
    let config = file(&format!("[recording]\nfolder = {folder:?}\n{settings}\n"));
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let more = ["serve", "--upstream", upstream, "--config", config.path().to_str().unwrap()];
    let mut serve = Running::start(&[&more[..], &listen[..]].concat());
    let addresses = serve.addresses();
    (serve, addresses)
}

/// Reads one generation to its end.
pub(super) fn generate(proxy: &str, tokens: u64) {
    generate_as(proxy, "", tokens);
}

/// Reads one generation of the caller with this key to its end.
fn generate_as(proxy: &str, key: &str, tokens: u64) {
    let prompt = "a secret prompt ".repeat(40);
    let body =
        format!("{{\"model\":\"sim\",\"prompt\":\"{prompt}\",\"options\":{{\"num_predict\":{tokens}}}}}");
    let authorization = match key {
        "" => String::new(),
        key => format!("Authorization: Bearer {key}\r\n"),
    };
    let head = format!(
        "POST /api/generate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(proxy).unwrap();
    connection.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"done\":true"), "{answer}");
}

/// `streams` generations that run at the same time.
pub(super) fn together(proxy: &str, streams: usize) {
    thread::scope(|scope| {
        for _ in 0..streams {
            scope.spawn(|| generate(proxy, TOKENS));
        }
    });
}

/// The value of a series of `/metrics`, by its name and one of its labels.
fn value(metrics: &str, name: &str, label: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(label)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// Waits until so many generations are written.
fn written(admin: &str, generations: u64) -> String {
    let series = format!("streamgauge_recording_streams_total{{result=\"written\"}} {generations}\n");
    let mut metrics = String::new();
    until(&series, || {
        metrics = get(admin, "/metrics");
        metrics.contains(&series)
    });
    metrics
}

pub(super) fn report(folder: &Path) -> Value {
    let output = streamgauge(&["report", "--format", "json", folder.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Asserts that two values differ by less than a share.
pub(super) fn near(value: &Value, planted: f64, share: f64) {
    let value = value.as_f64().unwrap();
    assert!((value / planted - 1.0).abs() < share, "{value}, where {planted} was planted");
}

/// Every file below a folder.
fn texts(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { texts(&path) } else { vec![fs::read_to_string(path).unwrap()] })
        .collect()
}

#[test]
fn report_of_recorded_traffic_shows_the_planted_rates_and_agrees_with_the_metrics() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let (serve, [proxy, admin]) = recording(&upstream, folder.path(), "");
    for _ in 0..3 {
        together(&proxy, 1);
        together(&proxy, 4);
    }
    let metrics = written(&admin, 15);
    let report_of_running = report(folder.path());
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
    let report = report(folder.path());
    assert_eq!(report["live"], report_of_running["live"]);

    let group = &report["live"]["groups"][0];
    assert_eq!(
        (&group["requests"], &group["failed"], &report["simulated"]),
        (&15.into(), &0.into(), &true.into())
    );
    let level = |streams: u64| {
        let levels = group["levels"].as_array().unwrap();
        levels.iter().find(|level| level["streams"] == streams).unwrap_or_else(|| panic!("{levels:#?}"))
    };
    near(&level(1)["rate"], ALONE, 0.1);
    near(&level(4)["rate"], OF_FOUR, 0.1);
    // The sidecar's own account of the same traffic.
    let seconds = value(&metrics, "streamgauge_concurrency_stream_seconds_total{", "streams=\"4\"");
    near(&level(4)["seconds"], seconds, 0.1);
    let output = &report["lengths"][0]["output"];
    assert_eq!((&output["n"], &output["min"], &output["max"]), (&15.into(), &60.0.into(), &60.0.into()));
    // Beside each other, streams lose what the planted cost takes: 7.5 of 12.5 ms of each gap.
    near(&report["live"]["slowdowns"][0]["seconds"], 12.0 * 59.0 * 0.0075, 0.15);
    for text in texts(folder.path()) {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn report_tells_which_caller_slowed_which_by_pseudonyms_and_no_file_has_a_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let names = ["alice", "bob"];
    let keys = names.map(keys_file::entry).concat();
    let (serve, [proxy, admin]) = recording(&upstream, folder.path(), &format!("callers = true\n{keys}"));
    for name in names {
        generate_as(&proxy, &keys_file::key(name), TOKENS);
    }
    for _ in 0..3 {
        thread::scope(|scope| {
            for name in names {
                scope.spawn(|| generate_as(&proxy, &keys_file::key(name), TOKENS));
            }
        });
    }
    written(&admin, 8);
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
    let report = report(folder.path());
    let slowdowns = report["live"]["slowdowns"].as_array().unwrap();
    let pseudonyms: std::collections::BTreeSet<&str> =
        slowdowns.iter().map(|found| found["slowed"].as_str().unwrap()).collect();
    assert_eq!(pseudonyms.len(), 2, "{slowdowns:#?}");
    assert!(pseudonyms.iter().all(|found| found.starts_with("caller-")), "{pseudonyms:?}");
    let one = slowdowns.iter().find(|found| found["by"] != found["slowed"]).unwrap();
    assert!(pseudonyms.contains(one["by"].as_str().unwrap()), "{one}");
    let shown = streamgauge(&["report", "--full", folder.path().to_str().unwrap()]).output().unwrap();
    for text in texts(folder.path()).into_iter().chain([report.to_string(), stdout(&shown)]) {
        assert!(names.iter().all(|name| !text.contains(name)), "{text}");
    }
    assert!(pseudonyms.iter().all(|found| stdout(&shown).contains(found)), "{}", stdout(&shown));
}

#[test]
fn recording_of_killed_sidecar_is_read_up_to_its_cut() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let (serve, [proxy, admin]) = recording(&upstream, folder.path(), "");
    together(&proxy, 2);
    written(&admin, 2);
    serve.signal("-KILL");
    serve.end();
    let part = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    // As after a power failure, the end of the file is missing.
    let chunks = part.join("chunk_metrics.csv");
    let text = fs::read_to_string(&chunks).unwrap();
    fs::write(&chunks, &text[..text.len() - 7]).unwrap();
    let report = report(folder.path());
    assert_eq!(report["live"]["groups"][0]["requests"], 2);
    let problems = report["sources"][0]["problems"].to_string();
    assert!(problems.contains("chunk_metrics.csv"), "{problems}");
}

#[test]
fn recording_without_share_records_nothing_and_folder_that_is_a_file_ends_serve() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let (serve, [proxy, admin]) = recording(&upstream, folder.path(), "sample_ratio = 0");
    together(&proxy, 1);
    assert!(get(&admin, "/metrics").contains("streamgauge_recording_streams_total{result=\"written\"} 0"));
    serve.signal("-TERM");
    serve.end();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let taken = file("");
    let config = file(&format!("[recording]\nfolder = {:?}", taken.path()));
    let mut serve = streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let output = serve.args(["--config", config.path().to_str().unwrap()]).output().unwrap();
    let told = stderr(&output);
    assert!(output.status.code() == Some(1) && told.contains("cannot record to"), "{told}");
    assert!(told.contains("`recording.folder`"), "{told}");
}

/// Starts `record`, and returns when it records.
fn record(admin: &str, folder: &Path, more: &[&str]) -> Running {
    let given = ["record", "--admin", admin, "--output", folder.to_str().unwrap()];
    let record = Running::start(&[&given[..], more].concat());
    until("it records", || folder.join("runs.csv").exists());
    record
}

#[test]
fn record_writes_traffic_of_a_sidecar_without_settings_until_it_is_interrupted() {
    let root = tempfile::TempDir::new().unwrap();
    let folder = root.path().join("night");
    let (_simulator, upstream) = simulated();
    let (_serve, [proxy, admin]) = serve(&upstream);
    // What runs before is not recorded.
    together(&proxy, 1);
    let record = record(&admin, &folder, &[]);
    for _ in 0..3 {
        together(&proxy, 1);
        together(&proxy, 4);
    }
    until("all generations are recorded", || read(&folder).unwrap().recording.agents.len() >= 15);
    record.signal("-INT");
    assert_eq!(record.end().0, Some(0));
    let report = report(&folder);
    let group = &report["live"]["groups"][0];
    let levels = group["levels"].as_array().unwrap();
    let rate = |streams: u64| &levels.iter().find(|level| level["streams"] == streams).unwrap()["rate"];
    assert_eq!((&group["requests"], &report["simulated"]), (&15.into(), &true.into()));
    near(rate(1), ALONE, 0.1);
    near(rate(4), OF_FOUR, 0.1);
    for text in texts(&folder) {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn record_for_a_time_waits_for_generations_that_run_at_its_end() {
    let root = tempfile::TempDir::new().unwrap();
    let folder = root.path().join("second");
    let (_simulator, upstream) = simulated();
    let (_serve, [proxy, admin]) = serve(&upstream);
    let record = record(&admin, &folder, &["--for", "1s"]);
    // 64 tokens of the simulator's limit take 0.3 s alone, and longer beside each other.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..4).for_each(|_| generate(&proxy, TOKENS)));
        }
    });
    assert_eq!(record.end().0, Some(0));
    let agents = read(&folder).unwrap().recording.agents;
    assert!((8..32).contains(&agents.len()), "{}", agents.len());
    assert!(agents.iter().all(|agent| agent.started < 1.5 && agent.tokens == Some(TOKENS)));
    assert!(agents.iter().any(|agent| agent.started + agent.duration > 1.0), "none ran at the end");
}

#[test]
fn record_needs_the_token_and_a_new_folder_and_only_four_read_at_once() {
    let root = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let token = file("a-token-of-the-admin-address");
    let config = file(&format!("[admin]\ntoken_file = {:?}", token.path()));
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let more = ["serve", "--upstream", &upstream, "--config", config.path().to_str().unwrap()];
    let mut serve = Running::start(&[&more[..], &listen[..]].concat());
    let [_, admin] = serve.addresses();
    let run = |folder: &Path, more: &[&str]| {
        let given = ["record", "--admin", &admin, "--output", folder.to_str().unwrap()];
        streamgauge(&[&given[..], more].concat()).output().unwrap()
    };
    let refused = run(&root.path().join("a"), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--token-file"), "{}", stderr(&refused));
    let given = ["--token-file", token.path().to_str().unwrap()];
    let taken = run(root.path(), &given);
    assert!(stderr(&taken).contains("name a new folder"), "{}", stderr(&taken));
    let readers: Vec<Running> =
        (0..4).map(|number| record(&admin, &root.path().join(number.to_string()), &given)).collect();
    let fifth = run(&root.path().join("fifth"), &given);
    assert!(stderr(&fifth).contains("Four readers record already"), "{}", stderr(&fifth));
    for reader in readers {
        reader.signal("-INT");
        assert_eq!(reader.end().0, Some(0));
    }
}

#[test]
fn replay_sends_the_recorded_arrivals_and_lengths_to_another_ollama() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_simulator, upstream) = simulated();
    let (serve, [proxy, _]) = recording(&upstream, folder.path(), "");
    for streams in [1, 3, 2] {
        together(&proxy, streams);
    }
    generate(&proxy, 17);
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
    let (_other, other) = simulated();
    let again = folder.path().join("again");
    let source = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let replay = ["experiment", "replay", source.to_str().unwrap(), "--upstream", &other, "--output"];
    let output = streamgauge(&[&replay[..], &[again.to_str().unwrap()]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let [mut recorded, mut replayed] = [&source, &again].map(|path| read(path).unwrap().recording.agents);
    recorded.sort_by(|a, b| a.started.total_cmp(&b.started));
    replayed.sort_by(|a, b| a.scheduled.unwrap().total_cmp(&b.scheduled.unwrap()));
    assert_eq!((recorded.len(), replayed.len()), (7, 7));
    for (before, after) in recorded.iter().zip(&replayed) {
        let due = after.scheduled.unwrap();
        let [was, is] = [before.started - recorded[0].started, due - replayed[0].scheduled.unwrap()];
        assert!((was - is).abs() < 1e-3, "{was} s became {is} s");
        // A busy machine sends late, which the report shows.
        assert!((0.0..0.5).contains(&(after.started - due)), "{after:?}");
        assert_eq!((before.tokens, before.failure.as_ref()), (after.tokens, after.failure.as_ref()));
        let [was, is] = [before, after].map(|agent| agent.prompt_tokens.unwrap());
        assert!(was > 100 && was.abs_diff(is) <= 2, "a prompt of {was} tokens became one of {is}");
    }
    let shown = streamgauge(&["report", again.to_str().unwrap()]).output().unwrap();
    assert!(stdout(&shown).contains("  - replay: 7 requests in "), "{}", stdout(&shown));
}
