//! The runtimes of a subcommand that serves.

use std::{
    io,
    thread::{self, JoinHandle},
};

use tokio::runtime::{self, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::collector::runtime::enable_histograms;

/// Runs the simulated Ollama, or the whole demo, on as many threads as there are cores.
pub(super) fn main() -> io::Result<Runtime> {
    enable_histograms(runtime::Builder::new_multi_thread().enable_all()).build()
}

/// Asks a question or two.
pub(super) fn small() -> io::Result<Runtime> {
    enable_histograms(runtime::Builder::new_current_thread().enable_all()).build()
}

/// A single-threaded runtime on a thread of its own. Dropped, it ends, and what runs on it is dropped.
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
            // A name that is still being looked up holds nobody up.
            runtime.shutdown_background();
        })?;
        Ok(Own { handle, end, thread: Some(thread) })
    }

    /// For the admin address, so that a scrape never waits for streams.
    pub(super) fn admin() -> io::Result<Own> {
        Own::start("admin".to_owned())
    }

    /// For clients; 0 is one for each core that may be used.
    ///
    /// One single-threaded runtime a core instead of one that steals costs 7 % less CPU a chunk: no worker looks into
    /// another's queue (22.7 us beside 24.4 us on two cores, 400 streams of 40 chunks a second, medians of five).
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
            // If it panicked, stderr has said so.
            let _ = thread.join();
        }
    }
}
