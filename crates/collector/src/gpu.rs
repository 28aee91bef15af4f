//! The GPUs, read on a thread of their own: several times a second, so that no spike between scrapes is lost.
//!
//! A [`Reader`] reads a device in the device's units; a card translates and adds up; a scrape shows what was
//! read last, and never waits for a driver.
#![expect(clippy::disallowed_types, reason = "a thread of its own is no async code")]

mod card;
mod carried;
mod clock_limit;
#[cfg(any(feature = "gpu", test))]
mod counter;
mod energy;
mod fake;
#[cfg(any(feature = "gpu", test))]
mod holder;
#[cfg(feature = "gpu")]
mod nvml;
mod rest;
mod sample;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus::Registry;

pub use fake::FakeReader;
#[cfg(feature = "gpu")]
pub use nvml::Nvml;
pub use sample::{Clocks, Depth, Identity, Link, Memory, Pcie, Sample};

use super::{Collect, CollectError};
use card::Card;
use rest::Rest;
use streamgauge_meter::metric::Exposition;

/// Time between two attempts to find a driver, or a GPU that was lost.
const RETRY: Duration = Duration::from_secs(10);
/// What is shown is never older than this, or than three intervals if they are long.
const STALE: Duration = Duration::from_secs(2);

/// Reads GPUs. A field that a device does not have is left `None` and no error.
pub trait Reader: Send + 'static {
    /// Finds the GPUs anew. Called first, and again after an error.
    ///
    /// # Errors
    /// There is no driver, no permission, or no GPU.
    fn open(&mut self) -> Result<Vec<Identity>, CollectError>;

    /// Reads one of those found, by its position, over what was read before: [`Depth::Fast`] leaves the slow
    /// fields as they are. It may block, even for seconds: nobody waits for it.
    ///
    /// # Errors
    /// The GPU does not answer any more.
    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError>;
}

impl<R: Reader + ?Sized> Reader for Box<R> {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        (**self).open()
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        (**self).read(position, depth, sample)
    }
}

/// Reads all GPUs of a [`Reader`].
pub struct GpuCollector {
    reader: Box<dyn Reader>,
    found: Vec<Found>,
    opened: Option<Instant>,
    /// Why not all is well; until it is found anew.
    fault: Option<CollectError>,
    shown: Arc<Mutex<Shown>>,
}

/// A GPU as the reader knows it.
struct Found {
    label: String,
    sample: Sample,
    rest: Rest,
    answers: bool,
}

impl Found {
    /// In how long PCIe's counters may wrap, if something may be going over.
    fn wrap(&self, now: Instant) -> Option<Duration> {
        if self.answers && !self.rest.is_long(now) { card::wrap(&self.sample) } else { None }
    }
}

/// What a scrape shows.
#[derive(Debug)]
struct Shown {
    cards: BTreeMap<String, Card>,
    /// What is older is not shown.
    patience: Duration,
}

impl GpuCollector {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(reader: impl Reader) -> GpuCollector {
        let shown = Shown { cards: BTreeMap::new(), patience: STALE };
        GpuCollector {
            reader: Box::new(reader),
            found: Vec::new(),
            opened: None,
            fault: None,
            shown: Arc::new(Mutex::new(shown)),
        }
    }

    /// Says how often it will be read, so that a scrape knows what is stale; a tenth of a second by default.
    #[must_use]
    pub fn every(self, every: Duration) -> GpuCollector {
        self.shown().patience = STALE.max(every * 3);
        self
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round(&mut self, now: Instant) -> Result<(), CollectError> {
        let due = |opened: Instant| self.fault.is_some() && now.saturating_duration_since(opened) >= RETRY;
        if self.opened.is_none_or(due) {
            self.opened = Some(now);
            self.open(now);
        }
        for position in 0..self.found.len() {
            let found = &mut self.found[position];
            if !found.answers {
                continue;
            }
            // Nobody holds the lock here: a driver that hangs delays no scrape.
            let depth = found.rest.depth(now);
            let read = self.reader.read(position, depth, &mut found.sample);
            found.rest.note(now, depth, &found.sample);
            let (label, sample) = (found.label.clone(), found.sample.clone());
            found.answers = read.is_ok();
            let mut shown = self.shown();
            let patience = shown.patience;
            let card = shown.cards.get_mut(&label).expect("whoever was found has a card");
            match read {
                Ok(()) => card.observe(now, patience, depth, sample),
                Err(error) => {
                    card.lose();
                    drop(shown);
                    self.fault = Some(CollectError::Failed(format!("GPU {label}: {error}")));
                }
            }
        }
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Before PCIe's counters can have wrapped.
    fn traffic(&mut self, now: Instant) {
        for (position, found) in self.found.iter_mut().enumerate() {
            if found.wrap(now).is_some() {
                // One that is out says so to the next reading of all.
                let _ = self.reader.read(position, Depth::Traffic, &mut found.sample);
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.found.clear();
        let opened = self.reader.open();
        let shown = self.shown.clone();
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.cards.values_mut().for_each(Card::lose);
        let identities = match opened {
            Ok(identities) => identities,
            Err(error) => {
                self.fault = Some(error);
                return;
            }
        };
        self.fault = None;
        for identity in identities {
            if identity.mig {
                let gpu = &identity.label;
                tracing::warn!(%gpu, "MIG is on: the driver tells no utilization, and the rest is of the whole card");
            }
            let label = identity.label.clone();
            self.found.push(Found {
                label: label.clone(),
                sample: Sample::default(),
                rest: Rest::new(now),
                answers: true,
            });
            match shown.cards.get_mut(&label).filter(|card| card.may_be(&identity)) {
                Some(known) => known.identify(identity),
                None => {
                    shown.cards.insert(label, Card::new(identity));
                }
            }
        }
    }
}

impl Collect for GpuCollector {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        Exposition::register(registry, &card::METRICS, self.shown.clone(), |shown, page| {
            let now = Instant::now();
            shown.cards.values().for_each(|card| card.write(now, shown.patience, page));
        })
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        self.round(Instant::now())
    }

    fn hurry(&self) -> Option<Duration> {
        let now = Instant::now();
        // In time although the thread is woken late.
        self.found.iter().filter_map(|found| found.wrap(now)).min().map(|wrap| wrap.mul_f64(0.75))
    }

    fn hurried(&mut self) {
        self.traffic(Instant::now());
    }
}

impl fmt::Debug for GpuCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuCollector").field("shown", &self.shown).finish_non_exhaustive()
    }
}
