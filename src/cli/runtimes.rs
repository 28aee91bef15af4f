//! The tokio runtimes of subcommands.

use std::{
    io,
    thread::{self, JoinHandle},
};

use tokio::runtime::{self, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::collector::runtime::enable_histograms;

/// The runtime of the simulated Ollama or of the whole demo, with one thread for each core.
pub(super) fn main() -> io::Result<Runtime> {
    enable_histograms(runtime::Builder::new_multi_thread().enable_all()).build()
}

/// A single-threaded runtime for a few requests.
pub(super) fn small() -> io::Result<Runtime> {
    enable_histograms(runtime::Builder::new_current_thread().enable_all()).build()
}

/// A single-threaded runtime on its own thread. Dropping it ends the thread and drops the tasks on it.
#[derive(Debug)]
pub(super) struct Own {
    handle: Handle,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Own {
    fn start(name: String) -> io::Result<Own> {
        let runtime = small()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone().cancelled_owned();
        let thread = thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(ended);
            // Ending does not wait for a DNS lookup that still runs.
            runtime.shutdown_background();
        })?;
        Ok(Own { handle, end, thread: Some(thread) })
    }

    /// The runtime of the admin listener, so that a scrape never waits for streams.
    pub(super) fn admin() -> io::Result<Own> {
        Own::start("admin".to_owned())
    }

    /// The runtimes that serve clients; 0 starts one for each available core.
    ///
    /// One single-threaded runtime per core costs 7 % less CPU per chunk than one work-stealing runtime, since no
    /// worker looks into another's queue (22.7 µs and 24.4 µs on two cores, 400 streams of 40 chunks/s, medians of
    /// five runs).
    pub(super) fn workers(count: usize) -> io::Result<Vec<Own>> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        (0..count).map(|number| Own::start(format!("main-{number}"))).collect()
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been written to stderr already.
            let _ = thread.join();
        }
    }
}
