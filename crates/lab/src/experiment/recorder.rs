//! Writes on a thread of its own: no event loop waits for a disk.

use std::{io, thread};

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::recording::{RunRow, Writer};
use crate::analysis::{Chunk, GpuSample, LagSample};

/// Batches that may wait for the disk; then agents' tellings wait, and never memory grows.
const WAITING: usize = 1024;

/// Something to write.
#[derive(Debug)]
pub(super) enum Row {
    Chunks(Vec<Chunk>),
    Lag(Vec<LagSample>),
    Gpu(String, GpuSample),
    Sidecar(u32, String, Vec<(String, f64)>),
    Text(u32, u32, String),
    Run(Box<RunRow>),
    /// Everything before it goes to the operating system.
    Flush,
}

/// The thread that writes. Rows come in the order in which they are sent.
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

    /// Where rows go. A recorder ends only once nobody holds one.
    pub(super) fn rows(&self) -> Option<Sender<Row>> {
        self.rows.clone()
    }

    /// Sends a row.
    ///
    /// # Errors
    /// It can't write any more.
    pub(super) async fn send(&mut self, row: Row) -> io::Result<()> {
        let sent = match &self.rows {
            Some(rows) => rows.send(row).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { self.finish().await }
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// It could not be.
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
