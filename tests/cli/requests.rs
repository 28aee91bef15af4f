//! The request log: its file, its rotation, and what happens when it cannot be written.

use std::{fs, path::Path};

use serde_json::Value;

use super::{activation::Manager, wait::until, *};

/// A sidecar whose upstream does not answer, with these settings of the log.
fn logging(manager: &Manager, settings: &str) -> Running {
    let config = file(&format!("[log]\nformat = \"json\"\n{settings}\n"));
    let arguments = ["--config", config.path().to_str().unwrap(), "--upstream", "http://127.0.0.1:9"];
    let mut serve = Running::spawn(manager.command("proxy:admin", &arguments));
    serve.until("listening");
    serve
}

fn ask(manager: &Manager, times: usize) {
    for _ in 0..times {
        let answer = get(&manager.proxy(), "/api/version");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

fn end(serve: &mut Running) {
    let killed = Command::new("kill").args(["-TERM", &serve.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn request_log_rotates_while_it_is_written_and_has_the_last_request() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("requests.log");
    let manager = Manager::new();
    let settings = format!(
        "requests = \"failed\"\nrequests_file = {path:?}\nrequests_max_size = \"4KiB\"\nrequests_old_files = 900"
    );
    let mut serve = logging(&manager, &settings);
    ask(&manager, 100);
    end(&mut serve);
    let mut all = lines(&path);
    let mut old = 1;
    while let rotated = folder.path().join(format!("requests.log.{old}"))
        && rotated.exists()
    {
        assert!(fs::metadata(&rotated).unwrap().len() <= 4 << 10);
        let mut earlier = lines(&rotated);
        earlier.append(&mut all);
        all = earlier;
        old += 1;
    }
    assert!(old > 3, "{old}");
    assert_eq!(all.len(), 100);
    for (number, line) in all.iter().enumerate() {
        let id = line["id"].as_str().unwrap();
        assert_eq!((id.len(), &id[8..]), (16, &format!("{:08x}", number + 1)[..]));
        assert_eq!((&line["status"], &line["outcome"]), (&502.into(), &"upstream_error".into()));
        assert!(line["reason"].as_str().unwrap().contains("is unreachable"), "{line}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn request_log_on_full_disk_stops_nothing_and_counts_each_lost_line() {
    let manager = Manager::new();
    let mut serve = logging(&manager, "requests = \"all\"\nrequests_file = \"/dev/full\"");
    ask(&manager, 50);
    serve.until("the request log cannot be written");
    let failed = "streamgauge_request_log_lines_total{result=\"failed\"} 50";
    until(failed, || get(&manager.admin(), "/metrics").contains(failed));
    end(&mut serve);
}

#[test]
fn request_log_that_cannot_be_opened_ends_serve_with_its_path() {
    let config = file("[log]\nrequests = \"all\"\nrequests_file = \"/nowhere/requests.log\"");
    let mut serve = streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let output = serve.args(["--config", config.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("cannot write the request log to /nowhere/requests.log: No such file"), "{told}");
    assert!(told.contains("log.requests_file"), "{told}");
}

#[test]
fn request_log_goes_to_stderr_without_a_file() {
    let manager = Manager::new();
    let mut serve = logging(&manager, "requests = \"all\"");
    ask(&manager, 1);
    let line: Value = serde_json::from_str(&serve.until("streamgauge::request")).unwrap();
    assert_eq!((&line["route"], &line["status"]), (&"version".into(), &502.into()));
    end(&mut serve);
}
