//! Writes a recording of live traffic, which ends only when somebody stops it.

use std::{fs, io, path::Path};

use super::{AgentRow, Environment, Writer, layout};
use crate::analysis::{Chunk, Run, RunKind};

/// The name of the only condition of live traffic.
pub(crate) const LIVE: &str = "live traffic";

/// Whether a folder with this name is a part of a recording of live traffic: the UTC time at which it began, as in
/// `20261128T103000.000001Z`.
#[must_use]
pub fn is_part(name: &str) -> bool {
    let shape = |at: usize, byte: u8| match at {
        8 => byte == b'T',
        15 => byte == b'.',
        22 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    name.len() == 23 && name.bytes().enumerate().all(|(at, byte)| shape(at, byte))
}

impl Writer {
    /// Starts a recording of live traffic in a new folder. It has one run, whose row is written first, because such a
    /// recording is whole whenever it ends.
    ///
    /// # Errors
    /// The folder exists, or cannot be created or written to.
    pub fn live(folder: &Path, environment: &Environment) -> io::Result<Writer> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above).map_err(named)?;
        }
        fs::create_dir(folder).map_err(named)?;
        Writer::describe(folder, environment)?;
        let mut writer = Writer::open(folder)?;
        writer.head(&Run { condition: LIVE.to_owned(), kind: RunKind::Open, ..Run::default() });
        writer.rest_is_empty(layout::RUN_COLUMNS.len());
        writer.runs.write_byte_record(&writer.row)?;
        writer.row.clear();
        writer.flush()?;
        Ok(writer)
    }

    /// Writes a request of live traffic that ended, and its chunks.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn request(&mut self, agent: &AgentRow, chunks: &[Chunk]) -> io::Result<()> {
        self.chunks(chunks)?;
        self.agent(agent)
    }

    /// Returns the size of the files, without what is not flushed.
    ///
    /// # Errors
    /// A file is gone.
    pub fn bytes(&self) -> io::Result<u64> {
        let files = [&self.runs, &self.agents, &self.chunks, &self.lag, &self.gpu];
        files.into_iter().try_fold(0, |sum, file| Ok(sum + file.get_ref().len()?))
    }

    fn rest_is_empty(&mut self, columns: usize) {
        while self.row.len() < columns {
            self.row.push_field(b"");
        }
    }
}
