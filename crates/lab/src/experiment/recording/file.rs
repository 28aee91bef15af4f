//! The files of a recording. Their errors name the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file to which data is appended.
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
        Ok(self.len()? == 0)
    }

    /// Returns its size in bytes.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(named(&self.path))?.len())
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The caller retries a call that a signal interrupted, because the error keeps its kind.
        self.file.write(bytes).map_err(named(&self.path))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(named(&self.path))
    }
}

/// Writes a whole file.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(named(path))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
