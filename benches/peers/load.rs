//! Runs many concurrent streams.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    task::{JoinSet, LocalSet},
    time::Instant,
};

use super::{
    PATIENCE,
    latency::{Ages, stamp},
    process::Process,
    reference::Reference,
    start::Start,
    stream::Stream,
};

/// The number of streams whose every record is compared with a reference.
pub(crate) struct Load {
    streams: JoinSet<Result<()>>,
    counts: Rc<Counts>,
    wanted: usize,
    reference: Rc<Reference>,
}

#[derive(Default)]
struct Counts {
    started: Cell<usize>,
    records: Cell<u64>,
    /// The ages of records at their arrival, while they are recorded.
    ages: RefCell<Option<Ages>>,
}

impl Load {
    /// Opens `wanted` streams in the same instant. Call it within a [`LocalSet`].
    pub(crate) fn open(addr: SocketAddr, streams: usize, reference: &Rc<Reference>) -> Load {
        Load::start(addr, streams, reference, Start::AtOnce)
    }

    /// The same with another start.
    pub(crate) fn start(addr: SocketAddr, streams: usize, reference: &Rc<Reference>, start: Start) -> Load {
        let counts = Rc::new(Counts::default());
        let mut load =
            Load { streams: JoinSet::new(), counts, wanted: streams, reference: reference.clone() };
        for place in 0..streams {
            let (counts, reference) = (load.counts.clone(), reference.clone());
            load.streams.spawn_local(async move {
                tokio::time::sleep(start.delay(place, streams)).await;
                follow(addr, reference, counts).await
            });
        }
        load
    }

    /// Waits until each stream has had its first record.
    pub(crate) async fn started(&self) -> Result<()> {
        let began = Instant::now();
        while self.counts.started.get() < self.wanted {
            ensure!(began.elapsed() < PATIENCE, "{} streams started", self.counts.started.get());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The CPU time of `process` per record, during a time in which all streams run.
    pub(crate) async fn cost(&self, process: &Process, stretch: Duration) -> Result<Duration> {
        let (cpu, records) = (process.cpu()?, self.counts.records.get());
        tokio::time::sleep(stretch).await;
        let (cpu, records) = (process.cpu()? - cpu, self.counts.records.get() - records);
        ensure!(records > 0, "no records arrived");
        Ok(Duration::from_secs_f64(cpu.as_secs_f64() / records as f64))
    }

    /// Starts to record the ages of records at their arrival. Each stream has `rate` records per second.
    pub(crate) fn time(&self, rate: u32) {
        self.counts.ages.replace(Some(Ages::of(rate)));
    }

    /// Returns the recorded ages and stops recording.
    pub(crate) fn timed(&self) -> Option<Ages> {
        self.counts.ages.take()
    }

    /// Waits until all streams have ended completely, and returns the ages of the records since [`Load::time`].
    pub(crate) async fn end_timed(self) -> Result<Ages> {
        let counts = self.counts.clone();
        self.end().await?;
        counts.ages.take().context("nothing was recorded")
    }

    /// Waits until all streams have ended completely. Returns the number of records.
    pub(crate) async fn end(mut self) -> Result<u64> {
        while let Some(ended) = self.streams.join_next().await {
            ended?.context("a stream was damaged")?;
        }
        let records = self.counts.records.get();
        ensure!(
            records == (self.wanted * self.reference.len()) as u64,
            "{records} records arrived, which is a wrong number"
        );
        Ok(records)
    }
}

async fn follow(addr: SocketAddr, reference: Rc<Reference>, counts: Rc<Counts>) -> Result<()> {
    let mut stream = Stream::of(addr, reference.ask()).await?;
    let (mut place, mut first) = (0, None);
    while let Some(record) = stream.record().await? {
        if place == 0 {
            first = stamp(record);
        }
        if let Some(ages) = counts.ages.borrow_mut().as_mut() {
            let stamp = stamp(record).context("a record without a stamp")?;
            ages.came(stamp, first.context("the first record had no stamp")?, place)?;
        }
        if !reference.check(place, record)? {
            continue;
        }
        if place == 0 {
            counts.started.set(counts.started.get() + 1);
        }
        counts.records.set(counts.records.get() + 1);
        place += 1;
    }
    ensure!(place == reference.len(), "the stream ended after {place} records");
    Ok(())
}

/// Runs a future that opens loads.
pub(crate) async fn locally<F: Future>(work: F) -> F::Output {
    LocalSet::new().run_until(work).await
}
