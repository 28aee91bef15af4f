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
    feed::{Feeds, StreamFeed, Subscription},
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
pub(crate) struct Recorder(Arc<ActiveRecorder>);

struct ActiveRecorder {
    sampler: StreamSampler,
    /// The queue of the sink, and the share of the generations that it gets. `None`: there is no sink.
    sink: Option<(SyncSender<StreamMessage>, f64)>,
    feeds: Arc<Feeds>,
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
        let sink = sink.map(|sink| {
            let (to, from) = sync_channel(WAITING);
            let of_writer = families.clone();
            let write = move || writer::write(sink, &from, &of_writer);
            // Without the thread, the queue is closed, and every generation counts as dropped.
            let _ = thread::Builder::new().name("recording".to_owned()).spawn(write);
            (to, config.sample_ratio)
        });
        let (sampler, chunks) = (StreamSampler::default(), ChunkBudget::new(CHUNKS));
        Ok(Recorder(Arc::new(ActiveRecorder { sampler, sink, feeds: Arc::default(), families, chunks })))
    }

    /// Records a request if it is a generation and is sampled. Call it before the request is forwarded.
    pub(crate) fn observe(&self, measurement: &mut Measurement) {
        let active = &self.0;
        if !measurement.route().generates() || (active.sink.is_none() && active.feeds.is_empty()) {
            return;
        }
        let chance = active.sampler.chance();
        let for_sink = active.sink.as_ref().is_some_and(|(_, ratio)| chance < *ratio);
        let feeds = active.feeds.of(chance);
        if !for_sink && feeds.is_empty() {
            return;
        }
        measurement.keep_chunks(active.chunks.clone());
        let (active, live) = (active.clone(), measurement.live().clone());
        measurement.on_end(move |ending| active.take(&live, ending, for_sink, &feeds));
    }

    /// Adds a reader of a share of the generations. `None`: there are too many.
    pub(crate) fn subscribe(&self, ratio: f64) -> Option<Subscription> {
        self.0.feeds.subscribe(ratio)
    }

    /// Waits until all earlier generations are written, but no longer than `longest`.
    pub(crate) async fn flush(&self, longest: Duration) {
        let Some((to, _)) = &self.0.sink else { return };
        let flushed = async {
            let (tell, told) = oneshot::channel();
            let mut message = StreamMessage::Flushed(tell);
            while let Err(TrySendError::Full(back)) = to.try_send(message) {
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
    /// Hands a generation that ended to the writer and to its readers. It never waits.
    fn take(&self, live: &Live, ending: &Ending, for_sink: bool, feeds: &[Arc<StreamFeed>]) {
        let Some(chunks) = live.take_chunks() else { return };
        self.families.chunks_dropped.inc_by(chunks.lost());
        let now = Instant::now();
        let accepted = now.checked_sub(ending.duration).unwrap_or(now);
        let stream = Arc::new(RecordedStream::new(accepted, ending.clone(), chunks));
        for feed in feeds {
            feed.give(&stream, &self.families.dropped);
        }
        if let Some((to, _)) = self.sink.as_ref().filter(|_| for_sink)
            && to.try_send(StreamMessage::Ended(stream)).is_err()
        {
            self.families.dropped.inc();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.sink.is_some()).finish()
    }
}
