//! A missing requirement is reported in one line that says what to do.

use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use streamgauge_simulate::Config;

use super::ollama::{Place, simulator, streamgauge, text};

const PYTHON: &str = "repetitions = 1\n[[condition]]\nname = \"python\"\nlanguage = \"python\"\n";

#[track_caller]
fn assert_refused(place: &Place, output: &Output, expected: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: nothing was run:\n  ") && said.contains(expected), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(!place.recording().exists());
}

#[test]
fn missing_ollama_is_named() {
    let place = Place::new("http://user:secret@127.0.0.1:1", 1, "[[condition]]\nname = \"one\"\n");
    let output = place.run(&[]);
    assert_refused(&place, &output, "one at http://127.0.0.1:1/ does not answer as an Ollama does");
    assert!(!text(&output.stderr).contains("secret"));
}

#[test]
fn missing_model_is_named_with_available_models() {
    let place = Place::new(&simulator(Config::default()), 1, "[[condition]]\nname = \"one\"\n");
    assert_refused(&place, &place.run(&["--model", "large"]), "has no model large:latest: pull it");
}

#[test]
fn missing_python_is_named() {
    let place = Place::new(&simulator(Config::default()), 1, PYTHON);
    assert_refused(
        &place,
        &place.run(&["--python", "/nowhere/python"]),
        "name one with --python, or leave out its conditions with --skip python",
    );
}

#[test]
fn missing_python_package_is_named_with_install_command() {
    let place = Place::new(&simulator(Config::default()), 1, PYTHON);
    let python = place.folder.path().join("python");
    fs::write(&python, "#!/bin/sh\nread job\necho '{\"missing\": [\"httpx\"]}'\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let name = python.to_str().unwrap();
    let expected = format!(
        "{name} lacks httpx: run `{name} -m venv venv && venv/bin/pip install httpx` and add --python venv/bin/python"
    );
    assert_refused(&place, &place.run(&["--python", name]), &expected);
}

#[test]
fn stopped_python_has_its_last_output_reported() {
    let place = Place::new(&simulator(Config::default()), 1, PYTHON);
    let python = place.folder.path().join("python");
    fs::write(&python, "#!/bin/sh\nread job\necho 'line 1: SyntaxError: it is too old' >&2\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let output = place.run(&["--python", python.to_str().unwrap()]);
    assert_refused(&place, &output, "stopped: line 1: SyntaxError: it is too old");
}

#[test]
fn ollama_that_refuses_midway_ends_experiment_and_keeps_recording() {
    let faults = "refuse=1".parse().unwrap();
    let url = simulator(Config { faults, ..Config::default() });
    let place = Place::new(&url, 5, "repetitions = 5\n[[condition]]\nname = \"pair\"\ncount = 2\n");
    let output = place.run(&[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("every agent of the last 3 runs failed") && said.contains("503"), "{said}");
    let report = streamgauge(&["report", place.recording().to_str().unwrap(), "--full"]).output().unwrap();
    assert!(text(&report.stdout).contains("503"), "{}", text(&report.stdout));
}

#[test]
fn plan_errors_are_reported_with_code_2() {
    let place = Place::new("http://127.0.0.1:1", 0, "[[condition]]\nname = \"one\"\nuvloop = true\n");
    let output = place.run(&[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("tokens must be 1 or more") && said.contains("uvloop is for Python"), "{said}");
    for arguments in [&["experiment", "run", "nosuch"][..], &["experiment", "run", "./nosuch.toml"]] {
        let output = streamgauge(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
    assert_eq!(place.run(&["--upstream", "two=http://127.0.0.1:2"]).status.code(), Some(2));
}
