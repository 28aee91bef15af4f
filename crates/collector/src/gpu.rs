//! Reads the GPUs on a thread of their own, several times a second, so that no spike between two scrapes is lost.
//!
//! A [`Reader`] reads a device in the device's units. A `Card` translates and sums the readings. A scrape shows the
//! latest reading and never waits for a driver.
#![expect(clippy::disallowed_types, reason = "a thread of its own is no async code")]

mod card;
mod carried;
mod clock_limit;
#[cfg(any(feature = "gpu", test))]
mod counter;
mod ecc;
mod energy;
#[cfg(any(feature = "gpu", test))]
mod events;
mod fake;
#[cfg(any(feature = "gpu", test))]
mod holder;
#[cfg(feature = "gpu")]
mod nvml;
mod rest;
mod sample;
#[cfg(test)]
mod tests;
mod xid;

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
pub use sample::{Clocks, Depth, Identity, Link, Memory, MemoryErrors, Pcie, Sample};
pub use xid::XidReport;

use super::{Collect, CollectError};
use card::Card;
use rest::Rest;
use streamgauge_meter::metric::Exposition;

/// Time between two attempts to find a driver, or to find a lost GPU again.
const RETRY: Duration = Duration::from_secs(10);
/// The maximum age of a reading that is shown. If three intervals are longer, they are the maximum.
const STALE: Duration = Duration::from_secs(2);

/// Reads GPUs. A field that a device does not provide is left `None`; this is not an error.
pub trait Reader: Send + 'static {
    /// Finds the GPUs again. It is called first, and after an error.
    ///
    /// # Errors
    /// There is no driver, no permission, or no GPU.
    fn open(&mut self) -> Result<Vec<Identity>, CollectError>;

    /// Reads the GPU at this position of the list that [`Reader::open`] returned, and updates `sample`. Fields that
    /// `depth` does not include stay as they are. The call may block for seconds, because no other code waits for it.
    ///
    /// # Errors
    /// The GPU no longer answers.
    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError>;

    /// Returns the XID errors that the driver reported since the last call. Default: none. It is called before each
    /// reading, and before [`Reader::open`].
    fn xid_errors(&mut self) -> Vec<XidReport> {
        Vec::new()
    }
}

impl<R: Reader + ?Sized> Reader for Box<R> {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        (**self).open()
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        (**self).read(position, depth, sample)
    }

    fn xid_errors(&mut self) -> Vec<XidReport> {
        (**self).xid_errors()
    }
}

/// Reads all GPUs of a [`Reader`].
///
/// Each call of [`Collect::collect`] reads once. `Nvml` reads NVIDIA's GPUs, with the feature `gpu`; [`FakeReader`]
/// simulates some:
///
/// ```
/// use streamgauge_collector::{Collect, FakeReader, GpuCollector};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = prometheus::Registry::new();
/// let mut collector = GpuCollector::new(FakeReader::new(2));
/// collector.register(&registry)?;
/// collector.collect()?;
/// let families = registry.gather();
/// let power = families.iter().find(|family| family.name() == "streamgauge_gpu_power_watts").unwrap();
/// assert_eq!(power.get_metric().len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct GpuCollector {
    reader: Box<dyn Reader>,
    found: Vec<Found>,
    opened: Option<Instant>,
    /// The reason why a GPU or the driver does not answer, until the GPUs are found again.
    fault: Option<CollectError>,
    shown: Arc<Mutex<Shown>>,
}

/// A GPU as the reader identifies it.
struct Found {
    label: String,
    sample: Sample,
    rest: Rest,
    answers: bool,
}

impl Found {
    /// Returns the shortest time in which the PCIe counters can wrap, or `None` if the GPU is at rest or does not
    /// answer.
    fn wrap(&self, now: Instant) -> Option<Duration> {
        if self.answers && !self.rest.is_long(now) { card::wrap(&self.sample) } else { None }
    }
}

/// The readings that a scrape shows.
#[derive(Debug)]
struct Shown {
    cards: BTreeMap<String, Card>,
    /// The maximum age of a reading that is shown.
    patience: Duration,
}

impl GpuCollector {
    /// Creates a collector that has read nothing yet.
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

    /// Sets the interval between two readings, so that a scrape recognizes stale values. Default: a tenth of a
    /// second.
    #[must_use]
    pub fn every(self, every: Duration) -> GpuCollector {
        self.shown().patience = STALE.max(every * 3);
        self
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round(&mut self, now: Instant) -> Result<(), CollectError> {
        self.note_xid_errors(now);
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
            // The lock is not held here, so a driver that hangs delays no scrape.
            let depth = found.rest.depth(now);
            let read = self.reader.read(position, depth, &mut found.sample);
            found.rest.note(now, depth, &found.sample);
            let (label, sample) = (found.label.clone(), found.sample.clone());
            found.answers = read.is_ok();
            let mut shown = self.shown();
            let patience = shown.patience;
            let card = shown.cards.get_mut(&label).expect("every GPU that was found has a card");
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

    /// Counts and logs the XID errors since the last round. A GPU that is lost has reported them before.
    fn note_xid_errors(&mut self, now: Instant) {
        for report in self.reader.xid_errors() {
            let Some(found) = self.found.get(report.position) else { continue };
            let code = report.code;
            let told =
                self.shown().cards.get_mut(&found.label).and_then(|card| card.note_xid_errors(report, now));
            if let Some(errors) = told {
                let (gpu, meaning) = (&found.label, xid::meaning(code));
                tracing::error!(%gpu, xid = code, errors, meaning, "the driver reported an XID error of a GPU");
            }
        }
    }

    /// Reads the PCIe counters before they can have wrapped.
    fn traffic(&mut self, now: Instant) {
        for (position, found) in self.found.iter_mut().enumerate() {
            if found.wrap(now).is_some() {
                // If the GPU is lost, the next reading of all fields reports it.
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
                tracing::warn!(%gpu, "MIG is on: the driver provides no utilization, and the other values are those of the whole card");
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
        // The margin covers a thread that wakes late.
        self.found.iter().filter_map(|found| found.wrap(now)).min().map(|wrap| wrap.mul_f64(0.75))
    }

    fn hurried(&mut self) {
        self.traffic(Instant::now());
    }

    /// Without a GPU that answers, there is nothing to read until the next attempt to find one.
    fn rest(&self) -> Option<Duration> {
        let is_any_read = self.found.iter().any(|found| found.answers);
        let since = self.opened.filter(|_| !is_any_read)?;
        Some(RETRY.saturating_sub(since.elapsed()))
    }
}

impl fmt::Debug for GpuCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuCollector").field("shown", &self.shown).finish_non_exhaustive()
    }
}
