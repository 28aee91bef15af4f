//! The runtimes of a subcommand that serves.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
};

use tokio::runtime::{self, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Serves clients; `workers` 0 is one for each core that may be used.
pub(super) fn main(workers: usize) -> io::Result<Runtime> {
    let workers = match workers {
        0 => thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let next = AtomicUsize::new(0);
    runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name_fn(move || format!("main-{}", next.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
}

/// Asks a question or two.
pub(super) fn small() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// A runtime on a thread of its own, so that a scrape never waits for streams. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Admin {
    handle: Handle,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    pub(super) fn start() -> io::Result<Admin> {
        let runtime = small()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone().cancelled_owned();
        let thread =
            thread::Builder::new().name("admin".to_owned()).spawn(move || runtime.block_on(ended))?;
        Ok(Admin { handle, end, thread: Some(thread) })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // If it panicked, stderr has said so.
            let _ = thread.join();
        }
    }
}
