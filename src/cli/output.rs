//! Results, to stdout.

use std::io::{self, Write};

use anyhow::Context;

use super::Failure;

/// Writes it all. A reader that has gone, such as `head`, has what it wanted: no failure.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")?
        }
        _ => Ok(()),
    }
}
