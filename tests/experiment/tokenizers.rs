//! The tokenizer benchmark, with a Python that prints fixed results.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use super::ollama::{assert_done, streamgauge, text};

fn run(folder: &Path, says: &str) -> Output {
    let (file, python) = (folder.join("tokenizer.json"), folder.join("python"));
    fs::write(&file, "{}").unwrap();
    fs::write(&python, format!("#!/bin/sh\nwhile read line; do :; done\necho '{says}'\n")).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["experiment", "tokenizers", "--bytes", "10000", "--python", python.to_str().unwrap()];
    streamgauge(&arguments).arg(file).output().unwrap()
}

#[test]
fn tokenizer_speeds_are_shown_with_their_meaning_for_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        r#"{"tokens": 2000, "load": 1, "encode": 0.004, "decode": 0.002, "streamed": 1000, "stream": 0.005, "library": "Python, x"}"#,
    );
    assert_done(&output);
    let shown = text(&output.stdout);
    // 2,000 tokens in 4 ms; one by one 5 µs each, of 10 ms.
    for part in [
        "500000",
        " 2.00 ",
        " 1.00 ",
        " 5.00\n",
        "5.00 µs per token, which is 0.050 % of the gap",
        "does not tokenize",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
}

#[test]
fn tokenizer_that_cannot_be_measured_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), r#"{"missing": "tokenizers"}"#);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("lacks tokenizers") && said.contains("-m pip install tokenizers"), "{said}");
    let nowhere = streamgauge(&["experiment", "tokenizers", "/nowhere/tokenizer.json"]).output().unwrap();
    assert!(text(&nowhere.stderr).contains("cannot read /nowhere/tokenizer.json"));
}
