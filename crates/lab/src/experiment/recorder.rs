//! Writes the recording on a thread of its own, so no event loop waits for a disk.

use std::{io, thread};

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::recording::{RunRow, Writer};
use crate::analysis::{Chunk, GpuSample, LagSample};

/// The number of batches that may wait for the disk. Beyond it, the reports of agents wait, and memory does not grow.
const WAITING: usize = 1024;

/// A piece of work for the thread.
#[derive(Debug)]
pub(super) enum Row {
    Chunks(Vec<Chunk>),
    Lag(Vec<LagSample>),
    Gpu(String, GpuSample),
    Sidecar(u32, String, Vec<(String, f64)>),
    Text(u32, u32, String),
    Run(Box<RunRow>),
    /// Passes everything before it to the operating system.
    Flush,
}

/// The thread that writes. It writes rows in the order in which they are sent.
#[derive(Debug)]
pub(super) struct Recorder {
    rows: Option<Sender<Row>>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Recorder {
    pub(super) fn start(writer: Writer) -> io::Result<Recorder> {
        let (rows, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || write(writer, waiting))?;
        Ok(Recorder { rows: Some(rows), thread: Some(thread) })
    }

    /// Returns a sender of rows. The recorder ends only when every sender is dropped.
    pub(super) fn rows(&self) -> Option<Sender<Row>> {
        self.rows.clone()
    }

    /// Sends a row.
    ///
    /// # Errors
    /// Writing is no longer possible.
    pub(super) async fn send(&mut self, row: Row) -> io::Result<()> {
        let sent = match &self.rows {
            Some(rows) => rows.send(row).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { self.finish().await }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The rows could not be written.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.rows = None;
        let Some(thread) = self.thread.take() else { return Err(io::Error::other("the recorder has ended")) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(written)) => written,
            _ => Err(io::Error::other("the recorder panicked")),
        }
    }
}

fn write(mut writer: Writer, mut rows: Receiver<Row>) -> io::Result<()> {
    while let Some(row) = rows.blocking_recv() {
        match row {
            Row::Chunks(chunks) => writer.chunks(&chunks)?,
            Row::Lag(samples) => writer.lag(&samples)?,
            Row::Gpu(gpu, sample) => writer.gpu(&gpu, &sample)?,
            Row::Sidecar(run, upstream, changes) => writer.sidecar(run, &upstream, &changes)?,
            Row::Text(run, agent, text) => writer.text(run, agent, &text)?,
            Row::Run(row) => writer.run(&row)?,
            Row::Flush => writer.flush()?,
        }
    }
    writer.flush()
}
