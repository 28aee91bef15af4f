//! The request log: one line for each finished request, without its content.
//!
//! A worker that ends a request only puts its ending into a bounded queue. A thread of its own formats and writes the
//! lines, so that a full disk or a reader that stalls harms no stream.

mod config;
mod line;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt, io,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use prometheus::{IntCounter, Registry};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    meter::Ending,
    metric::{Family, int_counter},
};
pub(crate) use config::Sink;
pub use config::{Config, LineFormat, Logged};
use writer::{QueuedLine, Results};

/// The most requests that wait to be written. Further ones are dropped and counted.
const WAITING: usize = 4096;
/// The interval at which a flush checks whether the queue has room for its message.
const LOOK: Duration = Duration::from_millis(5);

/// Puts finished requests into the queue of the writer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RequestLog(Option<Open>);

#[derive(Clone)]
struct Open {
    requests: Logged,
    to: SyncSender<QueuedLine>,
    dropped: Arc<IntCounter>,
}

impl RequestLog {
    /// Registers the metric, and starts the writer unless the log is off. Without a sink, the lines go to stderr.
    pub(crate) fn start(
        registry: &Registry,
        config: Config,
        sink: Option<Sink>,
    ) -> prometheus::Result<RequestLog> {
        let help = "Lines of the request log, by whether they were written.";
        let family = Family::register(registry, "request_log_lines_total", help, ["result"], int_counter)?;
        let [written, failed, dropped] =
            ["written", "failed", "dropped"].map(|result| family.child([result]));
        if config.requests == Logged::Off {
            return Ok(RequestLog(None));
        }
        let (to, from) = sync_channel(WAITING);
        let results = Results { written, failed, dropped: dropped.clone() };
        let sink = sink.unwrap_or_else(|| Box::new(io::stderr()));
        let write = move || writer::write(sink, config.format, &from, &results);
        // Without the thread, the queue is closed, and every line counts as dropped.
        let _ = thread::Builder::new().name("request-log".to_owned()).spawn(write);
        Ok(RequestLog(Some(Open { requests: config.requests, to, dropped })))
    }

    /// Returns a function that takes the ending of each request. `None`: the log is off.
    pub(crate) fn taker(&self) -> Option<impl FnOnce(&Ending) + Send + Sync + 'static> {
        let open = self.0.clone()?;
        Some(move |ending: &Ending| open.take(ending))
    }

    /// Waits until all earlier lines are written, but no longer than `longest`.
    pub(crate) async fn flush(&self, longest: Duration) {
        let Some(open) = &self.0 else { return };
        let flushed = async {
            let (tell, told) = oneshot::channel();
            let mut message = QueuedLine::Flushed(tell);
            while let Err(TrySendError::Full(back)) = open.to.try_send(message) {
                message = back;
                sleep(LOOK).await;
            }
            // It fails if the writer has ended. Then there is nothing to wait for.
            let _ = told.await;
        };
        // If the sink is not read, the time is over.
        let _ = timeout(longest, flushed).await;
    }
}

impl Open {
    fn take(&self, ending: &Ending) {
        let is_wanted = match self.requests {
            Logged::Off => false,
            Logged::All => true,
            Logged::Failed => ending.has_failed(),
            Logged::Slow => ending.has_failed() || ending.is_slow,
        };
        if is_wanted {
            let message = QueuedLine::Ended(SystemTime::now(), Box::new(ending.clone()));
            if self.to.try_send(message).is_err() {
                self.dropped.inc();
            }
        }
    }
}

impl fmt::Debug for RequestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestLog").field(&self.0.as_ref().map(|open| open.requests)).finish()
    }
}
