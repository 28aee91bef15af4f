//! Results, to stdout.

use std::io::{self, Write};

use anyhow::Context;

use super::CommandFailure;

/// Writes it all. A reader that has gone, such as `head`, has what it wanted: no failure.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), CommandFailure> {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")?
        }
        _ => Ok(()),
    }
}

/// The same, for what goes on for as long as there is a reader.
pub(super) fn write(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref()).and_then(|()| stdout.flush())
}
