//! How `serve` finds its Ollama, and what it prints at the start.

use super::*;

const LISTEN: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

/// Starts `serve` with variables, and returns it with its admin address.
fn serve(variables: &[(&str, &str)]) -> (Running, String) {
    let mut command = streamgauge(&[&["serve"], &LISTEN[..]].concat());
    command.envs(variables.iter().copied());
    let mut serve = Running::spawn(command);
    let [_, admin] = serve.addresses();
    (serve, admin)
}

fn is_ready(admin: &str) -> bool {
    get(admin, "/readyz").starts_with("HTTP/1.1 200")
}

#[test]
fn serve_without_flags_uses_ollama_host_as_upstream() {
    let (up, down) = (server(VERSION), nobody());
    for variables in [
        &[("OLLAMA_HOST", up.as_str())][..],
        &[("OLLAMA_HOST", down.as_str()), ("STREAMGAUGE_UPSTREAM", up.as_str())],
    ] {
        let (mut serve, admin) = serve(variables);
        serve.until("the upstream answered");
        assert!(is_ready(&admin), "{variables:?}");
        serve.signal("-TERM");
        assert_eq!(serve.end().0, Some(0));
    }
}

#[test]
fn check_takes_the_flags_of_serve_and_names_the_source_of_the_upstream() {
    let up = server(VERSION);
    let check = |arguments: &[&str], host: &str| {
        streamgauge(&[&["check"], arguments].concat()).env("OLLAMA_HOST", host).output().unwrap()
    };
    let output = check(&["--upstream", &format!("gpu0={up}"), "--listen", "127.0.0.1:1"], &nobody());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains(&format!("# gpu0 at http://{up} is Ollama 0.12.3")), "{shown}");
    assert!(shown.contains("listen = \"127.0.0.1:1\"  # flag --listen"), "{shown}");

    let shown = stdout(&check(&[], &up));
    assert!(shown.contains("[[upstream]]  # environment OLLAMA_HOST"), "{shown}");

    let shown = stdout(&check(&["--offline"], "127.0.0.1:11440"));
    assert!(shown.starts_with("# warning: OLLAMA_HOST is ignored: it names this sidecar's own"), "{shown}");
}

/// Two sidecars that are each other's upstream.
#[test]
fn loop_of_sidecars_is_detected_and_gets_508() {
    let first = nobody();
    let start = |listen: &str, upstream: &str| {
        let arguments = ["serve", "--listen", listen, "--admin", "127.0.0.1:0", "--upstream", upstream];
        let mut command = streamgauge(&arguments);
        command.env("STREAMGAUGE_UPSTREAMS__HEALTH_INTERVAL", "100ms");
        let mut serve = Running::spawn(command);
        let [proxy, _] = serve.addresses();
        (serve, proxy)
    };
    let (mut one, one_addr) = start("127.0.0.1:0", &first);
    let (mut other, _) = start(&first, &one_addr);
    for serve in [&mut one, &mut other] {
        serve.until("its address leads back to this sidecar");
    }
    let answer = get(&one_addr, "/api/tags");
    assert!(answer.starts_with("HTTP/1.1 508 Loop Detected\r\n"), "{answer}");
    assert!(answer.contains("leads back to this sidecar"), "{answer}");
    for serve in [one, other] {
        serve.signal("-TERM");
        assert_eq!(serve.end().0, Some(0));
    }
}

/// `serve` in a pseudo-terminal of util-linux's `script`.
#[test]
fn terminal_shows_ollama_clients_page_and_metrics() {
    let up = server(VERSION);
    let command = format!(
        "exec env -i {} -q serve --upstream {up} {}",
        env!("CARGO_BIN_EXE_streamgauge"),
        LISTEN.join(" ")
    );
    let mut child = in_terminal(&command);
    let mut screen = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains("Metrics")) {
        let mut line = String::new();
        assert!(screen.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(line.trim_end().to_owned());
    }
    child.stdin.take().unwrap().write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(*lines[0], format!("  Ollama    http://{up}  version 0.12.3, no model loaded"));
    assert!(lines[1].starts_with("  Clients   http://127.0.0.1:"), "{lines:?}");
    assert!(lines[1].contains("  try: OLLAMA_HOST=127.0.0.1:"), "{lines:?}");
    assert!(lines[2].starts_with("  Page      http://127.0.0.1:"), "{lines:?}");
    assert!(lines[3].ends_with("/metrics"), "{lines:?}");
}

#[test]
fn config_init_writes_valid_file_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        streamgauge(&[&["config", "init"], arguments].concat()).current_dir(&folder).output().unwrap()
    };
    let output = init(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("wrote streamgauge.toml\n"), "{}", stdout(&output));
    let path = folder.path().join("streamgauge.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.contains("\n# listen = \"127.0.0.1:11440\"\n"), "{written}");

    std::fs::write(&path, "[log]\nlevel = \"warn\"\n").unwrap();
    let refused = init(&["streamgauge.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("streamgauge.toml exists: choose another file"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[log]\nlevel = \"warn\"\n");
    assert_eq!(init(&["--force"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    assert_eq!(stdout(&init(&["-"])), written);

    let check = streamgauge(&["check", "--offline", "--config"]).arg(&path).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
}
