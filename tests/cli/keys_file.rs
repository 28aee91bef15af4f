//! `access.keys_file`: each way in which a program replaces a file, and the effect of a mistake.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{reload::status, *};

const RELOADED: &str = "keys of access.keys_file reloaded";
const KEPT: &str = "access.keys_file has mistakes; keeping the previous keys";

pub(super) fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entry of a caller, whose key is `KEY-of-` and its name.
pub(super) fn entry(name: &str) -> String {
    format!("[[key]]\nname = \"{name}\"\nsha256 = \"{}\"\n", digest(&key(name)))
}

pub(super) fn key(name: &str) -> String {
    format!("KEY-of-{name}")
}

/// Replaces the file in one step, as a program should that does not want half of it to be read.
fn replace(keys: &Path, text: &str) {
    let new = keys.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, keys).unwrap();
}

/// A configuration that requires a key and has none but those of this file.
fn config(upstream: &str, keys_file: &Path) -> tempfile::NamedTempFile {
    file(&format!(
        "[proxy]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n[access]\nrequire_key = true\nkeys_file = {keys_file:?}\n"
    ))
}

/// A sidecar in front of `upstream`, with its addresses.
fn start(upstream: &str, keys_file: &Path) -> (Running, [String; 2]) {
    let config = config(upstream, keys_file);
    let mut serve = Running::start(&["serve", "--config", config.path().to_str().unwrap()]);
    let addresses = serve.addresses();
    (serve, addresses)
}

/// The statuses of the callers `a` and `b`.
fn both(proxy: &str) -> [String; 2] {
    ["a", "b"].map(|name| status(proxy, &key(name)))
}

fn success(admin: &str) -> String {
    let page = get(admin, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix("streamgauge_keys_last_reload_success "));
    line.unwrap().to_owned()
}

/// The rest of the log, in which no key and no digest may stand.
fn end(serve: Running, names: &[&str]) -> String {
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0), "{log}");
    for name in names {
        assert!(!log.contains("KEY-of") && !log.contains(&digest(&key(name))), "{log}");
    }
    log
}

/// An Ollama that begins a stream at each POST, and ends it when it is told to.
fn held_stream() -> (String, mpsc::SyncSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::sync_channel(1);
    let told = Arc::new(Mutex::new(told));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (connection, told) = (connection.unwrap(), told.clone());
            thread::spawn(move || answer(connection, &told));
        }
    });
    (address, tell)
}

fn answer(mut connection: TcpStream, told: &Mutex<mpsc::Receiver<()>>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let (mut first, mut line) = (String::new(), String::new());
    reader.read_line(&mut first).unwrap();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    if !first.starts_with("POST ") {
        return connection.write_all(VERSION.as_bytes()).unwrap();
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    write!(connection, "{head}6\r\nfirst\n\r\n").unwrap();
    told.lock().unwrap().recv().unwrap();
    connection.write_all(b"5\r\nlast\n\r\n0\r\n\r\n").unwrap();
}

#[test]
fn keys_file_replaced_by_rename_changes_keys_and_streams_of_removed_key_continue() {
    let (upstream, release) = held_stream();
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.toml");
    fs::write(&keys, entry("a")).unwrap();
    let (mut serve, [proxy, admin]) = start(&upstream, &keys);
    assert_eq!(both(&proxy), ["200", "401"]);

    let mut stream = TcpStream::connect(&proxy).unwrap();
    let body = "{\"model\":\"m\",\"prompt\":\"p\"}";
    write!(
        stream,
        "POST /api/generate HTTP/1.1\r\nHost: h\r\nX-Api-Key: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        key("a"),
        body.len()
    )
    .unwrap();
    let mut answer = vec![0; 9];
    stream.read_exact(&mut answer).unwrap();

    replace(&keys, &entry("b"));
    let line = serve.until(RELOADED);
    assert!(line.contains("keys=1") && line.contains("added=1") && line.contains("removed=1"), "{line}");
    assert_eq!((both(&proxy), success(&admin)), (["401", "200"].map(str::to_owned), "1".to_owned()));
    release.send(()).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("first\n") && answer.ends_with("last\n\r\n0\r\n\r\n"), "{answer}");
    // The file is written in place too, as `>` of a shell does.
    fs::write(&keys, entry("a") + &entry("b")).unwrap();
    assert!(serve.until(RELOADED).contains("keys=2"));
    assert_eq!(both(&proxy), ["200", "200"]);
    end(serve, &["a", "b"]);
}

#[test]
fn keys_file_of_a_mounted_secret_changes_when_its_link_is_replaced() {
    let upstream = server(VERSION);
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, name) in [("..1", "a"), ("..2", "b")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("keys.toml"), entry(name)).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/keys.toml", at("keys.toml")).unwrap();
    let (mut serve, [proxy, _]) = start(&upstream, &at("keys.toml"));
    assert_eq!(both(&proxy), ["200", "401"]);
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..1")).unwrap();
    serve.until(RELOADED);
    assert_eq!(both(&proxy), ["401", "200"]);
    let log = end(serve, &["a", "b"]);
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn broken_empty_or_deleted_keys_file_keeps_the_keys_and_is_logged_once() {
    let upstream = server(VERSION);
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.toml");
    let shown = keys.display();
    fs::write(&keys, entry("a")).unwrap();
    let (mut serve, [proxy, admin]) = start(&upstream, &keys);

    let (secret, fine) = (digest("KEY-of-c"), entry("b"));
    let unknown = format!("{fine}[[key]]\nname = \"a\"\n{secret} = 1\n[access]\nrequire_key = false\n");
    for (text, said) in [
        (
            Some(format!(
                "{fine}[[key]]\nname = \"b\"\nsha256 = \"{secret}\"\nrequests = \"6\"\nwieght = 1\n"
            )),
            vec![format!("{shown}:7: `key.requests`: "), format!("{shown}:8: `key.wieght`: unknown key")],
        ),
        (Some(fine.clone() + &fine), vec![format!("{shown}:4: `key.name`: "), format!("{shown}:4: `key`: ")]),
        (Some(String::new()), vec![format!("{shown}:1: `key`: the file contains no key: write a [[key]]")]),
        (Some("key = []".to_owned()), vec!["`access.require_key`: no key is configured".to_owned()]),
        (
            Some(unknown),
            vec![
                format!("{shown}:4: `key`: the entry has none of"),
                format!("{shown}:6: `key`: unknown key"),
                format!("{shown}:7: a file of keys contains only [[key]]"),
            ],
        ),
        (Some("keys:\n  - a\n".to_owned()), vec![format!("{shown}:1: the file is YAML")]),
        (None, vec![format!("`access.keys_file`: cannot read \"{shown}\": No such file")]),
    ] {
        match &text {
            Some(text) => replace(&keys, text),
            None => fs::remove_file(&keys).unwrap(),
        }
        for part in &said {
            let line = serve.until("ERROR");
            assert!(line.contains(part.as_str()), "{part:?} is not in {line}");
        }
        serve.until(KEPT);
        assert_eq!(both(&proxy), ["200", "401"], "{text:?}");
        assert_eq!(success(&admin), "0", "{text:?}");
    }
    let page = get(&admin, "/metrics");
    assert!(page.contains("streamgauge_config_last_reload_success 1\n"), "{page}");
    replace(&keys, &(entry("a") + &entry("b")));
    serve.until(RELOADED);
    assert_eq!((both(&proxy), success(&admin)), (["200", "200"].map(str::to_owned), "1".to_owned()));
    end(serve, &["a", "b", "c"]);
}

#[test]
fn keys_file_with_ten_thousand_keys_is_read() {
    let upstream = server(VERSION);
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.toml");
    let all = |range: std::ops::Range<usize>| range.map(|one| entry(&one.to_string())).collect::<String>();
    fs::write(&keys, all(0..10_000)).unwrap();
    let (mut serve, [proxy, _]) = start(&upstream, &keys);
    assert_eq!(["0", "9999", "10000"].map(|name| status(&proxy, &key(name))), ["200", "200", "401"]);
    replace(&keys, &all(1..10_001));
    let line = serve.until(RELOADED);
    assert!(line.contains("keys=10000") && line.contains("added=1") && line.contains("removed=1"), "{line}");
    assert_eq!(["0", "9999", "10000"].map(|name| status(&proxy, &key(name))), ["401", "200", "200"]);
    // The log stays readable.
    replace(&keys, &all(0..10_000).replace("sha256", "sha255"));
    serve.until("mistakes: `streamgauge check` lists all of them");
    serve.until(KEPT);
    end(serve, &["0", "9999"]);
}

#[test]
fn keys_file_joins_the_keys_of_the_configuration() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.toml");
    let shown = keys.display();
    let config = file(&format!("[access]\nkeys_file = {keys:?}\n{}", entry("a")));
    let path = config.path().to_str().unwrap();
    let check = || streamgauge(&["check", "--offline", "--config", path]).output().unwrap();

    fs::write(&keys, entry("a").replace("name = \"a\"", "name = \"b\"") + &entry("a")).unwrap();
    let (output, admin) = (check(), ["--config", path]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        &format!("error: {shown}:1: `key`: \"b\" has the same key as \"a\", at {path}:3"),
        &format!("error: {shown}:4: `key.name`: the name \"a\" is used by another key, at {path}:3"),
        &format!("error: {shown}:4: `key`: \"a\" has the same key as \"b\", at {shown}:1"),
        "3 mistakes",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    // A health check does not fail because of keys that the sidecar does not use.
    let probe = streamgauge(&[&["probe"], &admin[..]].concat())
        .env("STREAMGAUGE_ADMIN__LISTEN", server(READY))
        .output()
        .unwrap();
    assert_eq!(probe.status.code(), Some(0), "{}", stderr(&probe));

    fs::write(&keys, entry("b") + "priority = \"high\"\n").unwrap();
    let output = check();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let b = format!("\n# [[key]]  # {shown}:1\n# name = \"b\"\n# sha256 = \"***\"\n# priority = \"high\"\n");
    assert!(text.contains(&b) && text.contains("\nname = \"a\"\n"), "{text}");
    assert!(text.contains(&format!("\nkeys_file = \"{shown}\"  # {path}:2\n")), "{text}");

    fs::remove_file(&keys).unwrap();
    let said = stderr(&check());
    assert!(
        said.contains(&format!("error: {path}:2: `access.keys_file`: cannot read \"{shown}\": ")),
        "{said}"
    );
}

#[test]
fn keys_file_begins_and_ends_with_sighup() {
    let upstream = server(VERSION);
    let folder = TempDir::new().unwrap();
    let [one, two] = ["one.toml", "two.toml"].map(|name| folder.path().join(name));
    fs::write(&one, entry("a")).unwrap();
    fs::write(&two, entry("b")).unwrap();
    let config = config(&upstream, &one);
    let path = config.path().to_str().unwrap();
    let mut serve = Running::start(&["serve", "--config", path]);
    let [proxy, _] = serve.addresses();
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replace("one.toml", "two.toml")).unwrap();
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    assert_eq!(both(&proxy), ["401", "200"]);
    fs::write(&two, entry("a") + &entry("b")).unwrap();
    serve.until(RELOADED);
    assert_eq!(both(&proxy), ["200", "200"]);
    let (text, _) = text.split_once("keys_file").unwrap();
    fs::write(path, text.to_owned() + &entry("b")).unwrap();
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    assert_eq!(both(&proxy), ["401", "200"]);
    end(serve, &["a", "b"]);
}
