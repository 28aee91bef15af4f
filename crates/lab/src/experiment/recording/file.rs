//! Files of a recording, whose errors say which file it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file that grows.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    path: PathBuf,
}

impl Growing {
    pub(super) fn open(path: PathBuf) -> io::Result<Growing> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Growing { file: file.map_err(named(&path))?, path })
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata().map_err(named(&self.path))?.len() == 0)
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One that a signal broke off is tried again by its kind.
        self.file.write(bytes).map_err(named(&self.path))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(named(&self.path))
    }
}

/// Writes a file in one go.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(named(path))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
