//! A configuration file gives settings, or mistakes with their places. The settings that are shown can be read again.
#![no_main]

use std::{fs, path::PathBuf, process};

use libfuzzer_sys::fuzz_target;
use streamgauge::config::{self, Flags};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("streamgauge-fuzz-{}.toml", process::id()));
    let load = |bytes: &[u8], path: &PathBuf| {
        fs::write(path, bytes).expect("a place for the file");
        config::load(&Flags { file: Some(path.clone()), ..Flags::default() })
    };
    match load(data, &path) {
        Ok(resolved) => {
            let shown = resolved.to_toml();
            // Keys are not shown, so a configuration with keys cannot be read again.
            if !shown.contains("***") {
                let again = load(shown.as_bytes(), &path).expect("what is shown is right");
                let without_places = |text: &str| -> Vec<String> {
                    text.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect()
                };
                assert_eq!(without_places(&again.to_toml()), without_places(&shown));
            }
        }
        Err(mistakes) => assert!(!mistakes.0.is_empty()),
    }
});
