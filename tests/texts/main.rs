//! The texts that users read, in the files of tests/snapshots, so that a reviewer can read all of them at once.
//!
//! After a change of a text, run `STREAMGAUGE_REWRITE_TEXTS=1 cargo test --test texts` and review the difference. The help of the
//! metrics is compared by tests/metrics_doc.rs.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[allow(dead_code, reason = "only a part is used here")]
// Several test programs use this file.
#[path = "../shared/authority.rs"]
mod authority;
mod configuration;
mod help;
mod log;
// Several test programs use this file.
#[path = "../shared/snapshot.rs"]
mod snapshot;

use std::process::Command;

/// The real binary, without the variables of the caller's shell.
fn streamgauge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.env_clear();
    command
}
