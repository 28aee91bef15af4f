//! The real binary: arguments, exit codes, stdout and stderr.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

mod activation;
// Several test programs use this file.
#[path = "../shared/authority.rs"]
mod authority;
mod demo;
mod descriptors;
mod drain;
mod found;
#[cfg(target_os = "linux")]
mod gpu;
mod help;
mod keys_file;
mod log;
mod memory;
mod name;
#[cfg(target_os = "linux")]
// Several test programs use this file.
#[path = "../shared/nvml.rs"]
mod nvml;
mod recording;
// Several test programs use this file.
#[path = "../fleet/redis.rs"]
#[allow(dead_code, reason = "not every program uses all of it")]
mod redis;
mod reload;
mod requests;
mod running;
#[cfg(target_os = "linux")]
mod shifted_clock;
mod stored_keys;
mod surroundings;
mod systemd;
mod tls;
mod top;
#[cfg(target_os = "linux")]
mod vanished;
// Several test programs use this file.
#[path = "../shared/wait.rs"]
mod wait;

use running::{Running, address, in_terminal, serve};

fn streamgauge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    // None of the variables of the caller's shell.
    command.args(arguments).env_clear();
    command
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Answers every request with these bytes.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// An address on which no program listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Requests a path of one of these servers. Returns head and body of the response.
fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NOT_READY: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 16\r\nconnection: close\r\n\r\nno upstream is up";
const VERSION: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"version\":\"0.12.3\"}";

#[test]
fn configuration_errors_are_all_reported_with_lines_and_code_2() {
    let file = file("[proxy]\nlisen = \"x\"\nmax_head = 65536\n\n[log]\nlevel = \"loud\"\n");
    let path = file.path().to_str().unwrap();
    for command in ["check", "serve", "probe"] {
        let output =
            streamgauge(&[command, "--config", path]).env("STREAMGAUGE_PROXY__WORKERS", "x").output();
        let output = output.unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(output.stdout.is_empty());
        for part in [
            &format!("error: {path}:2: `proxy.lisen`"),
            "did you mean `proxy.listen`?",
            &format!("error: {path}:3: `proxy.max_head`"),
            &format!("error: {path}:6: `log.level`"),
            "error: environment STREAMGAUGE_PROXY__WORKERS",
            "4 mistakes",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
}

#[test]
fn setting_from_flag_overrides_environment_and_environment_overrides_file() {
    let file = file("[log]\nformat = \"json\"\nlevel = \"error\"\n[metrics]\nmodel_limit = 3\n");
    let output = streamgauge(&["check", "--offline", "-v", "--config", file.path().to_str().unwrap()])
        .env("STREAMGAUGE_LOG__LEVEL", "warn")
        .env("STREAMGAUGE_LOG__FORMAT", "text")
        .output()
        .unwrap();
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(shown.contains("level = \"debug\"  # flag -v"), "{shown}");
    assert!(shown.contains("format = \"text\"  # environment STREAMGAUGE_LOG__FORMAT"), "{shown}");
    assert!(shown.contains("model_limit = 3  # "), "{shown}");
}

#[test]
fn check_output_is_accepted_as_configuration() {
    let first =
        streamgauge(&["check", "--offline"]).env("STREAMGAUGE_PROXY__MAX_HEAD", "9KiB").output().unwrap();
    let fed = file(&stdout(&first));
    let second =
        streamgauge(&["check", "--offline", "--config", fed.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    let without_comments = |output: &Output| -> Vec<String> {
        stdout(output).lines().map(|line| line.split("  #").next().unwrap().to_owned()).collect()
    };
    assert_eq!(without_comments(&first), without_comments(&second));
    assert!(stdout(&second).contains("max_head = \"9KiB\""));
}

#[test]
fn check_asks_each_upstream() {
    let (up, down) = (server(VERSION), nobody());
    let file = file(&format!(
        "[[upstream]]\nname = \"up\"\nurl = \"http://{up}\"\n[[upstream]]\nname = \"down\"\nurl = \"http://{down}\"\n"
    ));
    let output = streamgauge(&["check", "--config", file.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains(&format!("# up at http://{up} is Ollama 0.12.3")),
        "{}",
        stdout(&output)
    );
    assert!(stderr(&output).contains("error: upstream \"down\" at "), "{}", stderr(&output));
    assert!(!stderr(&output).contains("\"up\" at"), "{}", stderr(&output));
}

#[test]
fn probe_exits_with_0_if_ready_and_1_if_not() {
    let probe = |url: &str| streamgauge(&["probe", url]).output().unwrap();
    assert_eq!(probe(&format!("http://{}", server(READY))).status.code(), Some(0));
    let refused = probe(&format!("http://{}/readyz", server(NOT_READY)));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("503 Service Unavailable no upstream is u"), "{}", stderr(&refused));
    assert_eq!(probe(&format!("http://{}", nobody())).status.code(), Some(1));
}

#[test]
fn probe_of_the_address_for_clients_asks_whether_it_is_that() {
    let clients = server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let output = streamgauge(&["probe", &clients]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let asked =
        format!("error: http://{clients}/readyz answered 404 Not Found: is this the address for clients? ");
    assert!(stderr(&output).starts_with(&asked), "{}", stderr(&output));
    let output = streamgauge(&["probe", &format!("{clients}/other")]).output().unwrap();
    assert!(stderr(&output).contains("/other is not ready: 404"), "{}", stderr(&output));
}

#[test]
fn probe_error_names_address_without_secrets() {
    let (ready, busy, down) = (server(READY), server(NOT_READY), nobody());
    let probe = |url: &str| streamgauge(&["probe", url]).output().unwrap();
    // HOST:PORT, as in OLLAMA_HOST, means http.
    assert_eq!(probe(&ready).status.code(), Some(0));
    let said = stderr(&probe(&busy));
    assert!(said.starts_with(&format!("error: http://{busy}/readyz is not ready: 503 ")), "{said}");
    let said = stderr(&probe(&down));
    assert!(said.starts_with(&format!("error: http://{down}/readyz did not answer: ")), "{said}");
    let said = stderr(&probe(&format!("http://me:hunter2@{down}/livez?key=hunter2")));
    assert!(said.starts_with(&format!("error: http://{down}/livez did not answer: ")), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let output = streamgauge(&["probe"]).env("STREAMGAUGE_ADMIN__LISTEN", &down).output().unwrap();
    assert!(
        stderr(&output).starts_with(&format!("error: http://{down}/readyz did not")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn upstream_given_as_host_and_port_uses_http() {
    let up = server(VERSION);
    let file = file(&format!("[[upstream]]\nurl = \"{up}\"\n"));
    let output = streamgauge(&["check", "--config", file.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(&format!("url = \"http://{up}\"")), "{}", stdout(&output));
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut serve = Running::start(&[&["serve", "--upstream", &format!("gpu0={up}")], &listen[..]].concat());
    assert!(serve.line().contains("listening"));
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}

#[test]
fn listener_by_name_is_logged_with_its_address() {
    for arguments in
        [["simulate", "--listen"], ["demo", "--listen"], ["demo", "--admin"], ["serve", "--admin"]]
    {
        let output = streamgauge(&[&arguments[..], &["localhost:1234"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("write \"127.0.0.1:1234\""), "{}", stderr(&output));
    }
}

#[test]
fn config_flag_on_command_without_configuration_is_usage_error() {
    let file = file("[log]\nlevel = \"info\"\n");
    let path = file.path().to_str().unwrap();
    for command in [
        &["demo", "--duration", "1s"][..],
        &["simulate", "--listen", "127.0.0.1:0"],
        &["experiment", "list"],
        &["report", "nowhere"],
        &["completions", "bash"],
        &["config", "init", "-"],
        &["man"],
        &["probe", "http://127.0.0.1:1"],
    ] {
        let output = streamgauge(&[command, &["--config", path]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", stdout(&output));
        let said = format!("error: `{}` reads no configuration", command[0]);
        assert!(stderr(&output).starts_with(&said), "{}", stderr(&output));
    }
}

#[test]
fn probe_asks_the_configured_admin_address() {
    let output = streamgauge(&["probe"]).env("STREAMGAUGE_ADMIN__LISTEN", server(READY)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn usage_error_exits_with_code_2_and_help_with_0() {
    for wrong in [&[][..], &["sreve"], &["serve", "--lisen", "x"], &["check", "-v", "-q"]] {
        let output = streamgauge(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
    for right in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let output = streamgauge(right).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{right:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{right:?}");
    }
}

#[test]
fn completions_and_manual_contain_all_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = streamgauge(&["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("serve"), "{shell}");
    }
    let output = streamgauge(&["man"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains(".TH") && stdout(&output).contains("probe"));
}

#[test]
fn closed_stdout_is_no_failure() {
    let mut child =
        streamgauge(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn probe_with_invalid_url_is_usage_error_that_does_not_repeat_url() {
    for wrong in ["me:hunter2@127.0.0.1:1", "ftp://me:hunter2@127.0.0.1:1", "gpu0"] {
        let output = streamgauge(&["probe", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(stderr(&output).contains("write http://HOST:PORT"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
    }
}

#[test]
fn serve_logs_its_addresses_and_drains_on_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut serve = Running::start(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let line = serve.line();
        assert!(line.contains("listening") && line.contains("proxy=127.0.0.1:"), "{line}");
        assert!(line.contains("admin=127.0.0.1:") && !line.contains('\x1b'), "{line}");
        serve.signal(signal);
        let (code, rest) = serve.end();
        assert_eq!(code, Some(0), "{rest}");
        assert!(rest.contains("stopped"), "{rest}");
    }
}

#[test]
fn log_in_json_format_is_one_object_per_line() {
    let mut serve = Running::start(&[
        "--log-format",
        "json",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    let line: serde_json::Value = serde_json::from_str(&serve.line()).unwrap();
    assert_eq!(line["message"], "listening");
    assert!(line["proxy"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
}

#[test]
fn simulate_serves_as_ollama_until_signal() {
    let mut simulate = Running::start(&["simulate", "--listen", "127.0.0.1:0", "--faults", "split=0.5"]);
    let line = simulate.line();
    let address = line.trim().rsplit_once("ollama=").unwrap().1;
    let file = file(&format!("[[upstream]]\nurl = \"http://{address}\"\n"));
    let check = streamgauge(&["check", "--config", file.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    assert!(
        stdout(&check).contains(&format!("# upstream0 at http://{address} is Ollama")),
        "{}",
        stdout(&check)
    );
    simulate.signal("-INT");
    assert_eq!(simulate.end().0, Some(0));
}

#[test]
fn address_in_use_exits_with_code_1_and_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = streamgauge(&["simulate", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("error: cannot listen on {address}")), "{}", stderr(&output));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

#[test]
fn address_in_use_error_names_only_the_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for (listen, admin, named, other) in [
        (&*address, free, "`proxy.listen` (--listen)", "--admin"),
        (free, &*address, "`admin.listen` (--admin)", "--listen"),
    ] {
        let output = streamgauge(&["serve", "--listen", listen, "--admin", admin]).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!(" on {address}: ")) && said.contains(named), "{said}");
        assert!(!said.contains(other), "{said}");
    }
}

#[test]
fn admin_address_open_without_token_is_logged_as_warning() {
    let secret = file("sesame\n");
    for (admin, token, is_warned) in [
        ("0.0.0.0:0", None, true),
        ("[::]:0", None, true),
        ("0.0.0.0:0", Some(secret.path().to_str().unwrap()), false),
        ("127.0.0.1:0", None, false),
    ] {
        let mut command = streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", admin]);
        if let Some(token) = token {
            command.env("STREAMGAUGE_ADMIN__TOKEN_FILE", token);
        }
        let mut serve = Running::spawn(command);
        let mut said = serve.line();
        // Before that, signals are not handled.
        while !said.contains("listening") {
            said += &serve.line();
        }
        assert_eq!(said.contains("WARN") && said.contains("set admin.token_file"), is_warned, "{said}");
        serve.signal("-TERM");
        let (code, rest) = serve.end();
        assert_eq!(code, Some(0), "{rest}");
        assert!(!(said + &rest).contains("sesame"));
    }
}
