//! SIGHUP: the settings that change, those that do not, and the effect of a mistake.

use std::fs;

use super::*;

/// The status of a response to a request with this key.
pub(super) fn status(address: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /api/version HTTP/1.1\r\nHost: h\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn sighup_reloads_keys_and_shaping_and_broken_file_changes_nothing() {
    let upstream = server(VERSION);
    let secret = file("sesame\n");
    let settings = |listen: &str, level: &str, shaping: &str| {
        format!(
            "[proxy]\nlisten = \"{listen}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"{level}\"\n\
             [[upstream]]\nurl = \"http://{upstream}\"\n[access]\nrequire_key = true\n\
             [[key]]\nname = \"alice\"\nkey_file = {:?}\n[shaping]\n{shaping}\n",
            secret.path()
        )
    };
    let config = file(&settings("127.0.0.1:0", "info", "pace = 0"));
    let path = config.path().to_str().unwrap();
    let mut serve = Running::start(&["serve", "--config", path]);
    let [proxy, admin] = serve.addresses();
    assert_eq!([status(&proxy, "sesame"), status(&proxy, "mellon")], ["200", "401"]);

    // The key is in a file, which the configuration still names.
    fs::write(secret.path(), "mellon").unwrap();
    fs::write(path, settings("127.0.0.1:1", "debug", "pace = 60")).unwrap();
    serve.signal("-HUP");
    serve.until("configuration reloaded");
    let warning = serve.until("need a restart");
    assert!(warning.contains("settings=\"proxy.listen\""), "{warning}");
    assert_eq!([status(&proxy, "sesame"), status(&proxy, "mellon")], ["401", "200"]);
    serve.until("DEBUG");
    let page = get(&admin, "/metrics");
    assert!(page.contains("streamgauge_pace_tokens_per_second{caller=\"anonymous\"} 60\n"), "{page}");
    assert!(page.contains("streamgauge_config_last_reload_success 1\n"), "{page}");

    fs::write(path, settings("127.0.0.1:0", "info", "pase = 70\nmerge = 1")).unwrap();
    serve.signal("-HUP");
    let mistake = serve.until("shaping.pase");
    assert!(
        mistake.contains(&format!("{path}:15: `shaping.pase`")) && mistake.contains("did you mean"),
        "{mistake}"
    );
    assert!(serve.until("shaping.merge").contains("ERROR"));
    serve.until("keeping the previous one");
    assert_eq!([status(&proxy, "sesame"), status(&proxy, "mellon")], ["401", "200"]);
    let broken = get(&admin, "/metrics");
    assert!(broken.contains("streamgauge_config_last_reload_success 0\n"), "{broken}");
    let read = |page: &str| {
        let line =
            page.lines().find(|line| line.starts_with("streamgauge_config_last_reload_timestamp_seconds "));
        line.unwrap().to_owned()
    };
    assert_eq!(read(&broken), read(&page), "what is in force is as old as it was");

    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("sesame") && !log.contains("mellon"), "{log}");
}
