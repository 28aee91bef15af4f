//! Simulated GPUs, for demonstrations on machines without one.

use std::{fmt, time::Instant};

use super::{Clocks, Depth, Identity, Link, Memory, MemoryErrors, Pcie, Reader, Sample};
use crate::CollectError;

const GIB: u64 = 1 << 30;

/// Simulated GPUs, each with "fake" in its labels. Their power, temperature and memory follow their load.
pub struct FakeReader {
    gpus: usize,
    load: Box<dyn Fn() -> f64 + Send>,
    began: Instant,
    last: Vec<Instant>,
    millijoules: Vec<f64>,
    bytes: Vec<f64>,
}

impl FakeReader {
    /// Creates `count` GPUs whose load rises and falls by itself.
    #[must_use]
    pub fn new(gpus: usize) -> FakeReader {
        let began = Instant::now();
        FakeReader {
            gpus,
            load: Box::new(move || (1.0 - (began.elapsed().as_secs_f64() / 5.0).cos()) / 2.0),
            began,
            last: vec![began; gpus],
            millijoules: vec![0.0; gpus],
            bytes: vec![0.0; gpus],
        }
    }

    /// Sets the load, from 0 to 1, to the result of `load`.
    #[must_use]
    pub fn load(mut self, load: impl Fn() -> f64 + Send + 'static) -> FakeReader {
        self.load = Box::new(load);
        self
    }
}

impl Reader for FakeReader {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        let identity = |position: usize| Identity {
            label: format!("fake{position}"),
            uuid: Some(format!("FAKE-{position}")),
            name: "fake GPU".to_owned(),
            driver: "fake".to_owned(),
            mig: false,
            xid_errors: true,
        };
        Ok((0..self.gpus).map(identity).collect())
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        let now = Instant::now();
        // Each GPU has less load than the one before, so that their curves can be told apart.
        let load = (self.load)().clamp(0.0, 1.0) * (1.0 - 0.1 * position as f64).max(0.1);
        let watts = 72.0 + 500.0 * load;
        let seconds = now.saturating_duration_since(self.last[position]).as_secs_f64();
        self.last[position] = now;
        self.millijoules[position] += watts * 1e3 * seconds;
        self.bytes[position] += 2e9 * load * seconds;

        sample.utilization_percent = Some((100.0 * load).round() as u32);
        sample.memory_utilization_percent = Some((60.0 * load) as u32);
        let used = GIB * 2 + (6.0 * load * GIB as f64) as u64;
        sample.memory = Some(Memory { used, free: 79 * GIB - used, total: 80 * GIB });
        sample.power_milliwatts = Some((watts * 1e3) as u32);
        sample.energy_millijoules = Some(self.millijoules[position] as u64);
        sample.temperature_celsius = Some(30 + (40.0 * load) as u32);
        let clock = 345 + (1_635.0 * load) as u32;
        sample.clocks =
            Clocks { graphics: Some(clock), sm: Some(clock), memory: Some(2_619), video: Some(1_545) };
        sample.clock_limits = Some(u64::from(load == 0.0));
        let bytes = self.bytes[position] as u64;
        sample.pcie = Some(Pcie::Counted { transmit: bytes / 4, receive: bytes });
        if depth == Depth::Full {
            sample.power_limit_milliwatts = Some(700_000);
            sample.link_generation = Link { current: Some(5), max: Some(5) };
            sample.link_width = Link { current: Some(16), max: Some(16) };
            sample.pcie_replays = Some(0);
            sample.memory_errors = MemoryErrors {
                corrected: Some(0),
                uncorrected: Some(0),
                corrected_aggregate: Some(0),
                uncorrected_aggregate: Some(0),
                retired_single_bit: Some(0),
                retired_double_bit: Some(0),
                remapped_corrected: Some(0),
                remapped_uncorrected: Some(0),
                is_repair_pending: Some(false),
                has_repair_failed: Some(false),
            };
            sample.processes = vec![("fake".to_owned(), used)];
        }
        Ok(())
    }
}

impl fmt::Debug for FakeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeReader")
            .field("gpus", &self.gpus)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}
