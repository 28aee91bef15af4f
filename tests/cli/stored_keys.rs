//! `access.keys_store`: keys of the store, the effect of a mistake, and of a store that is away.

use std::{fs, path::Path, time::Duration};

use tempfile::{NamedTempFile, TempDir};
use tokio::time::{sleep, timeout};

use super::{
    keys_file::{digest, entry, key},
    redis::Redis,
    reload::status,
    wait::until_async,
    *,
};

const RELOADED: &str = "keys of the store reloaded";
const KEPT: &str = "the keys of the store have mistakes; keeping the previous keys";
/// The key of the text, and the channel of its announcements.
const KEY: &str = "{streamgauge}:keys";

/// A configuration with the keys of a store at this socket, and with these settings of its own.
fn config(upstream: &str, socket: &Path, own: &str) -> NamedTempFile {
    let socket = socket.display();
    file(&format!(
        "[proxy]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n[shared]\nurl = \"unix://{socket}\"\n\
         [access]\nrequire_key = true\nkeys_store = true\n{own}"
    ))
}

fn start(config: &NamedTempFile) -> (Running, [String; 2]) {
    let mut serve = Running::start(&["serve", "--config", config.path().to_str().unwrap()]);
    let addresses = serve.addresses();
    (serve, addresses)
}

/// Writes the text and announces it.
async fn write(redis: &Redis, text: &str) {
    redis.set(KEY, text.as_bytes()).await;
    redis.command(&format!("PUBLISH {KEY} changed")).await;
}

fn both(proxy: &str) -> [String; 2] {
    ["a", "b"].map(|name| status(proxy, &key(name)))
}

fn value(admin: &str, series: &str) -> String {
    let page = get(admin, "/metrics");
    page.lines().find_map(|line| line.strip_prefix(series)).unwrap().trim().to_owned()
}

fn success(admin: &str) -> String {
    value(admin, "streamgauge_keys_last_reload_success ")
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

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn stored_keys_change_at_every_sidecar_with_and_without_an_announcement() {
    let (upstream, redis) = (server(VERSION), Redis::start(&[]).await);
    redis.set(KEY, entry("a").as_bytes()).await;
    let config = config(&upstream, &redis.socket(), "");
    let mut all = [start(&config), start(&config)];
    for (serve, [proxy, admin]) in &mut all {
        let line = serve.until(RELOADED);
        assert!(line.contains("keys=1") && line.contains("added=1") && line.contains("removed=0"), "{line}");
        assert_eq!((both(proxy), success(admin)), (["200", "401"].map(str::to_owned), "1".to_owned()));
        assert!(get(admin, "/readyz").ends_with("\r\n\r\nready\n"));
    }
    write(&redis, &entry("b")).await;
    for (serve, [proxy, _]) in &mut all {
        let line = serve.until(RELOADED);
        assert!(line.contains("added=1") && line.contains("removed=1"), "{line}");
        assert_eq!(both(proxy), ["401", "200"]);
    }
    // A text with the same keys is no news.
    let before = redis.calls("getrange").await;
    write(&redis, &format!("# The same.\n{}", entry("b"))).await;
    until_async("both sidecars have read the keys", async || redis.calls("getrange").await >= before + 2)
        .await;
    // Without an announcement, the change only comes later.
    redis.set(KEY, (entry("a") + &entry("b")).as_bytes()).await;
    for (serve, [proxy, _]) in &mut all {
        assert!(serve.until(RELOADED).contains("keys=2"));
        assert_eq!(both(proxy), ["200", "200"]);
    }
    for (serve, _) in all {
        let log = end(serve, &["a", "b"]);
        assert!(!log.contains("ERROR") && !log.contains(RELOADED), "{log}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn broken_or_absent_stored_keys_keep_the_keys_and_are_logged_once() {
    let (upstream, redis) = (server(VERSION), Redis::start(&[]).await);
    redis.set(KEY, entry("a").as_bytes()).await;
    let config = config(&upstream, &redis.socket(), &entry("own"));
    let (mut serve, [proxy, admin]) = start(&config);
    serve.until(RELOADED);

    let (secret, fine, place) = (digest("KEY-of-c"), entry("b"), "ERROR");
    let at = |line: usize| format!("store {KEY}:{line}: ");
    for (text, said) in [
        (
            format!("{fine}[[key]]\nname = \"b\"\nsha256 = \"{secret}\"\nrequests = \"6\"\nwieght = 1\n"),
            vec![at(7) + "`key.requests`: ", at(8) + "`key.wieght`: unknown key"],
        ),
        (fine.clone() + &fine, vec![at(4) + "`key.name`: ", at(4) + "`key`: "]),
        (entry("own"), vec![at(1) + "`key.name`: the name \"own\" is used by another key", at(1) + "`key`: "]),
        (
            "[[key]]\nname = \"b\"\nkey_file = \"/etc/hostname\"\n[[key]]\nname = \"c\"\nkey_env = \"HOME\"\n"
                .to_owned(),
            vec![
                at(3) + "`key.key_file`: a key of the store has only `sha256`",
                at(6) + "`key.key_env`: a key of the store has only `sha256`",
            ],
        ),
        ("keys:\n  - a\n".to_owned(), vec![at(1) + "the text is YAML"]),
        ("[access]\nrequire_key = false\n".to_owned(), vec![at(1) + "a text of keys contains only [[key]]"]),
        ("# Nothing.\n".to_owned(), vec![at(1) + "`key`: the text contains no key"]),
        (" ".repeat((4 << 20) + 1), vec![at(1) + "the text is longer than 4 MiB"]),
        (String::new(), vec![at(1) + "the store has no text under this key: write it with `redis-cli -x SET"]),
    ] {
        write(&redis, &text).await;
        for part in &said {
            let line = serve.until(place);
            assert!(line.contains(part.as_str()), "{part:?} is not in {line}");
        }
        serve.until(KEPT);
        let shown: String = text.chars().take(80).collect();
        assert_eq!((both(&proxy), success(&admin)), (["200", "401"].map(str::to_owned), "0".to_owned()), "{shown}");
        // The same text again is no news, and neither is a SIGHUP of a valid configuration.
        write(&redis, &text).await;
    }
    redis.set(KEY, b"\xff\xfe").await;
    redis.command(&format!("PUBLISH {KEY} changed")).await;
    assert!(serve.until(place).contains(&(at(1) + "the text is not UTF-8")));
    serve.until(KEPT);
    redis.command(&format!("DEL {KEY}")).await;
    redis.command(&format!("LPUSH {KEY} x")).await;
    redis.command(&format!("PUBLISH {KEY} changed")).await;
    assert!(serve.until(place).contains(&(at(1) + "the key holds a value that is no text")));
    serve.until(KEPT);
    assert_eq!(both(&proxy), ["200", "401"]);
    assert!(get(&admin, "/readyz").ends_with("\r\n\r\nready\n"), "the limits are shared all the time");
    write(&redis, &(entry("a") + &entry("b"))).await;
    let line = serve.until(RELOADED);
    assert!(line.contains("keys=3") && line.contains("added=1"), "{line}");
    assert_eq!((both(&proxy), success(&admin)), (["200", "200"].map(str::to_owned), "1".to_owned()));
    end(serve, &["a", "b", "c", "own"]);
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn stored_keys_stay_in_force_while_the_store_is_away_also_after_sighup() {
    let (upstream, mut redis) = (server(VERSION), Redis::start(&[]).await);
    redis.set(KEY, entry("a").as_bytes()).await;
    let config = config(&upstream, &redis.socket(), &entry("own"));
    let (mut serve, [proxy, admin]) = start(&config);
    serve.until(RELOADED);
    redis.kill();
    serve.until("shared limits are not in force");
    assert_eq!((both(&proxy), success(&admin)), (["200", "401"].map(str::to_owned), "1".to_owned()));
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    assert_eq!([status(&proxy, &key("a")), status(&proxy, &key("own"))], ["200", "200"]);
    // The store has lost its data.
    redis.restart().await;
    serve.until("the store has no text under this key");
    serve.until(KEPT);
    assert_eq!((both(&proxy), success(&admin)), (["200", "401"].map(str::to_owned), "0".to_owned()));
    write(&redis, &entry("own")).await;
    serve.until("the name \"own\" is used by another key");
    serve.until(KEPT);
    // The configuration gives the name up, so that the text of the store has no mistake any more.
    let text = fs::read_to_string(config.path()).unwrap();
    fs::write(config.path(), text.replace(&entry("own"), "")).unwrap();
    serve.signal("-HUP");
    assert!(serve.until(RELOADED).contains("keys=1"));
    assert_eq!([status(&proxy, &key("a")), status(&proxy, &key("own"))], ["401", "200"]);
    assert_eq!(success(&admin), "1");
    // Without the setting, its keys end.
    let text = fs::read_to_string(config.path()).unwrap();
    fs::write(config.path(), text.replace("keys_store = true\n", "") + &entry("b")).unwrap();
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    assert_eq!([status(&proxy, &key("own")), status(&proxy, &key("b"))], ["401", "200"]);
    end(serve, &["a", "b", "own"]);
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn sidecar_that_starts_without_the_store_is_not_ready_until_its_keys_were_read() {
    let (upstream, mut redis) = (server(VERSION), Redis::start(&[]).await);
    redis.kill();
    let config = config(&upstream, &redis.socket(), &entry("own"));
    let (mut serve, [proxy, admin]) = start(&config);
    serve.until("shared limits are not in force");
    let ready = get(&admin, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.contains("the keys of the store were never read: cannot connect to unix://"), "{ready}");
    assert_eq!([status(&proxy, &key("a")), status(&proxy, &key("own"))], ["401", "200"]);
    assert_eq!(success(&admin), "0");
    redis.restart().await;
    serve.until(KEPT);
    let ready = get(&admin, "/readyz");
    let said =
        "never read: the store has no text under this key ({streamgauge}:keys): write it with `redis-cli";
    assert!(ready.contains(said), "{ready}");
    write(&redis, &entry("a")).await;
    serve.until(RELOADED);
    // The limits return by another connection, which may be later.
    let ready = async {
        while !get(&admin, "/readyz").ends_with("\r\n\r\nready\n") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), ready).await.expect("the store answers");
    assert_eq!((both(&proxy), success(&admin)), (["200", "401"].map(str::to_owned), "1".to_owned()));
    end(serve, &["a", "own"]);
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn stored_keys_and_those_of_a_file_join() {
    let (upstream, redis, folder) = (server(VERSION), Redis::start(&[]).await, TempDir::new().unwrap());
    let keys = folder.path().join("keys.toml");
    fs::write(&keys, entry("a")).unwrap();
    redis.set(KEY, entry("b").as_bytes()).await;
    let config = config(&upstream, &redis.socket(), &format!("keys_file = {keys:?}\n"));
    let (mut serve, [proxy, admin]) = start(&config);
    serve.until(RELOADED);
    assert_eq!(both(&proxy), ["200", "200"]);
    // The text of the store takes the key of the file, which is a mistake until the file gives it up.
    write(&redis, &(entry("a") + &entry("b"))).await;
    serve.until(&format!("the name \"a\" is used by another key, at {}", keys.display()));
    serve.until(KEPT);
    fs::write(&keys, entry("c")).unwrap();
    serve.until("keys of access.keys_file reloaded");
    assert!(serve.until(RELOADED).contains("keys=3"));
    assert_eq!(
        (both(&proxy), status(&proxy, &key("c"))),
        (["200", "200"].map(str::to_owned), "200".to_owned())
    );
    // A broken file says nothing about the store.
    fs::write(&keys, "x").unwrap();
    serve.until("access.keys_file has mistakes");
    let texts = [entry("b"), entry("b") + &entry("a")];
    for text in texts.iter().cycle().take(21) {
        write(&redis, text).await;
        serve.until(RELOADED);
        assert_eq!(success(&admin), "0", "the file still has a mistake");
    }
    assert_eq!(both(&proxy), ["401", "200"]);
    end(serve, &["a", "b", "c"]);
}

#[test]
fn stored_keys_without_a_store_are_a_mistake() {
    let config = file("[access]\nrequire_key = true\nkeys_store = true\n");
    let path = config.path().to_str().unwrap();
    let output = streamgauge(&["check", "--offline", "--config", path]).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&format!("{path}:3: `access.keys_store`: the key has no effect without `shared.url`")),
        "{said}"
    );
}
