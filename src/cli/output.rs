//! Writes results to stdout.

use std::io::{self, Write};

use anyhow::Context;

use super::CommandFailure;

/// Writes all of it. A closed pipe is not a failure, since a reader such as `head` may stop early.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), CommandFailure> {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")?
        }
        _ => Ok(()),
    }
}

/// Writes output that continues as long as there is a reader, so a closed pipe is an error.
pub(super) fn write(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref()).and_then(|()| stdout.flush())
}
