//! The recorder of a sidecar: the decision at the beginning of a generation, and the queue at its end.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use prometheus::Registry;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    config::Config,
    families::Families,
    sampler::StreamSampler,
    stream::{RecordedStream, StreamSink},
    writer::{self, StreamMessage},
};
use crate::meter::{ChunkBudget, Ending, Live, Measurement};

/// The most generations that wait to be written. Further ones are dropped and counted.
const WAITING: usize = 1024;
/// The chunks that running and waiting generations may keep: 64 MiB.
const CHUNKS: usize = 2 << 20;
/// The interval at which a flush checks whether the queue has room for its message.
const LOOK: Duration = Duration::from_millis(5);

/// A sink, as the sidecar passes it on.
pub(crate) type BoxedSink = Box<dyn StreamSink>;

/// Records the generations of a sidecar. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder(Option<Arc<ActiveRecorder>>);

struct ActiveRecorder {
    sampler: StreamSampler,
    to: SyncSender<StreamMessage>,
    families: Families,
    chunks: Arc<ChunkBudget>,
}

impl Recorder {
    /// Registers the metrics, and starts the writer if there is a sink.
    pub(crate) fn start(
        registry: &Registry,
        config: Config,
        sink: Option<BoxedSink>,
    ) -> prometheus::Result<Recorder> {
        let families = Families::register(registry)?;
        let Some(sink) = sink else { return Ok(Recorder(None)) };
        let (to, from) = sync_channel(WAITING);
        let of_writer = families.clone();
        let write = move || writer::write(sink, &from, &of_writer);
        // Without the thread, the queue is closed, and every generation counts as dropped.
        let _ = thread::Builder::new().name("recording".to_owned()).spawn(write);
        let (sampler, chunks) = (StreamSampler::new(config.sample_ratio), ChunkBudget::new(CHUNKS));
        Ok(Recorder(Some(Arc::new(ActiveRecorder { sampler, to, families, chunks }))))
    }

    /// Records a request if it is a generation and is sampled. Call it before the request is forwarded.
    pub(crate) fn observe(&self, measurement: &mut Measurement) {
        let Some(open) = &self.0 else { return };
        if !measurement.route().generates() || !open.sampler.takes() {
            return;
        }
        measurement.keep_chunks(open.chunks.clone());
        let (open, live) = (open.clone(), measurement.live().clone());
        measurement.on_end(move |ending| open.take(&live, ending));
    }

    /// Waits until all earlier generations are written, but no longer than `longest`.
    pub(crate) async fn flush(&self, longest: Duration) {
        let Some(open) = &self.0 else { return };
        let flushed = async {
            let (tell, told) = oneshot::channel();
            let mut message = StreamMessage::Flushed(tell);
            while let Err(TrySendError::Full(back)) = open.to.try_send(message) {
                message = back;
                sleep(LOOK).await;
            }
            // It fails if the writer has ended. Then there is nothing to wait for.
            let _ = told.await;
        };
        // If the disk does not answer, the time is over.
        let _ = timeout(longest, flushed).await;
    }
}

impl ActiveRecorder {
    /// Hands a generation that ended to the writer. It never waits.
    fn take(&self, live: &Live, ending: &Ending) {
        let Some(chunks) = live.take_chunks() else { return };
        self.families.chunks_dropped.inc_by(chunks.lost());
        let now = Instant::now();
        let accepted = now.checked_sub(ending.duration).unwrap_or(now);
        let stream = RecordedStream::new(accepted, ending.clone(), chunks);
        if self.to.try_send(StreamMessage::Ended(Box::new(stream))).is_err() {
            self.families.dropped.inc();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.is_some()).finish()
    }
}
