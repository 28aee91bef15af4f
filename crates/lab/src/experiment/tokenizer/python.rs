//! Python's `tokenizers`, in a process of its own.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{ONE_BY_ONE, Speed};

const SCRIPT: &str = include_str!("bench.py");

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Missing { missing: String },
    Speed(Speed),
}

/// Measures a tokenizer's file on these pieces.
///
/// # Errors
/// Python does not start or lacks the package, or the file cannot be read.
pub fn by_python(python: &Path, file: &Path, pieces: &[String]) -> Result<Speed, String> {
    let name = python.display();
    let start = |error: std::io::Error| {
        format!("cannot start {name}: {error}: install Python 3.8 or newer, or name one with --python")
    };
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(file).arg(ONE_BY_ONE.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(start)?;
    if let Some(mut input) = process.stdin.take() {
        // If Python lacks the package, it ends before it has read everything. Its output is handled below.
        let _ = input.write_all(pieces.join("\0").as_bytes());
    }
    let output = process.wait_with_output().map_err(start)?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Told::Speed(speed)) => Ok(speed),
        Ok(Told::Missing { missing }) => {
            Err(format!("{name} lacks {missing}: {name} -m pip install {missing}"))
        }
        Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            Err(format!("{name} on {}: {}", file.display(), last.trim()))
        }
    }
}
