//! A recording with arbitrary files: the byte 0xFF separates them.
#![no_main]

use std::{fs, process};

use libfuzzer_sys::fuzz_target;
use streamgauge::experiment::recording;

const FILES: [&str; 8] = [
    "runs.csv",
    "agents.csv",
    "chunk_metrics.csv",
    "loop_lag.csv",
    "gpu_metrics.csv",
    "sidecar_metrics.csv",
    "plan.toml",
    "environment.json",
];

fuzz_target!(|data: &[u8]| {
    let folder = std::env::temp_dir().join(format!("streamgauge-fuzz-{}", process::id()));
    fs::create_dir_all(&folder).expect("a place for the recording");
    let mut parts = data.split(|byte| *byte == 0xFF);
    for file in FILES {
        match parts.next() {
            Some(part) => fs::write(folder.join(file), part).expect("a place for a file"),
            None => {
                // The file may not exist.
                let _ = fs::remove_file(folder.join(file));
            }
        }
    }
    let _ = recording::read(&folder);
});
