//! Passes the version of the compiler to the program, for `streamgauge_build_info`.
#![expect(clippy::disallowed_methods, reason = "cargo passes settings to a build script in the environment")]

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // Of "rustc 1.95.0 (…)", take the number.
    let number = version.split_whitespace().nth(1).unwrap_or("unknown");
    // Without the prefix of the settings, because `cargo run` passes this variable to the program too.
    println!("cargo::rustc-env=BUILD_RUSTC={number}");
}
