//! One GPU: its latest reading in base units, and the sums of its readings.

use std::time::{Duration, Instant};

use super::{
    carried::{Carried, carry},
    clock_limit::CLOCK_LIMITS,
    ecc::EccErrors,
    energy::Energy,
    sample::{Depth, Identity, Link, Pcie, Sample},
    xid::{XidErrors, XidReport},
};
use streamgauge_meter::metric::{Histogram, Metric, Page, buckets};

macro_rules! metrics {
    ($($name:ident = $kind:ident($text:literal, $help:literal, $labels:expr);)*) => {
        $(const $name: Metric = Metric::$kind(concat!("streamgauge_gpu_", $text), $help, $labels);)*
        /// Every metric of a GPU.
        pub(super) const METRICS: [&Metric; [$(stringify!($name)),*].len()] = [$(&$name),*];
    };
}

metrics! {
    INFO = gauge("info", "Identifies the GPU and its driver. The value is always 1.", &["gpu", "uuid", "name", "driver"]);
    UTILIZATION = gauge("utilization_ratio", "The part of the driver's sample period (1/6 s to 1 s) in which a kernel ran.", &["gpu"]);
    MEMORY_UTILIZATION = gauge("memory_utilization_ratio", "The part of the driver's sample period in which GPU memory was read or written.", &["gpu"]);
    MEMORY_USED = gauge("memory_used_bytes", "GPU memory that processes use, bytes.", &["gpu"]);
    MEMORY_FREE = gauge("memory_free_bytes", "GPU memory that is free, bytes.", &["gpu"]);
    MEMORY_TOTAL = gauge("memory_total_bytes", "Total GPU memory, including the part that the driver reserves, bytes.", &["gpu"]);
    POWER = gauge("power_watts", "Power draw of the card, watts.", &["gpu"]);
    POWER_LIMIT = gauge("power_limit_watts", "The power limit in force, watts.", &["gpu"]);
    TEMPERATURE = gauge("temperature_celsius", "Temperature of the die, degrees Celsius.", &["gpu"]);
    CLOCK = gauge("clock_hertz", "Clock frequency of the domain, hertz.", &["gpu", "domain"]);
    CLOCK_LIMIT = gauge("clock_limit", "1 while this reason limits the clocks, otherwise 0.", &["gpu", "reason"]);
    LINK_GENERATION = gauge("pcie_link_generation", "PCIe generation of the link.", &["gpu", "state"]);
    LINK_WIDTH = gauge("pcie_link_width", "PCIe lanes of the link.", &["gpu", "state"]);
    LINK_MAX = gauge("pcie_max_bytes_per_second", "Highest rate of the link in each direction, packet headers not subtracted, bytes per second.", &["gpu"]);
    PROCESS_MEMORY = gauge("process_memory_bytes", "GPU memory by the name of the process, bytes.", &["gpu", "process"]);
    ENERGY = counter("energy_joules_total", "Energy that the card has used, joules: the card's counter plus power × time since it was read, or power × time for cards without a counter.", &["gpu", "source"]);
    PCIE = counter("pcie_bytes_total", "Bytes over PCIe, from (transmit) and to (receive) the GPU: the card's counters, or the rate over 20 ms × time between readings.", &["gpu", "direction", "source"]);
    ECC_ERRORS = counter("ecc_errors_total", "Memory errors that ECC found, since the driver was loaded (volatile) or in the life of the card (aggregate).", &["gpu", "kind", "counter"]);
    RETIRED_PAGES = gauge("retired_pages", "Pages of GPU memory that are no longer used because of errors, by cause.", &["gpu", "cause"]);
    REMAPPED_ROWS = gauge("remapped_rows", "Rows of GPU memory that spare rows replace because of errors, by cause.", &["gpu", "cause"]);
    MEMORY_REPAIR = gauge("memory_repair", "1 while a repair of GPU memory waits for a reset of the GPU (pending) or has failed (failed), otherwise 0.", &["gpu", "state"]);
    XID_ERRORS = counter("xid_errors_total", "XID errors that the driver reported, by code.", &["gpu", "xid"]);
    REPLAYS = counter("pcie_replays_total", "PCIe packets that were sent again.", &["gpu"]);
    BUSY = counter("busy_seconds_total", "Utilization × time between readings, seconds.", &["gpu"]);
    UTILIZATION_SAMPLE = histogram("utilization_sample_ratio", "Utilization at every reading.", &["gpu"]);
    POWER_SAMPLE = histogram("power_sample_watts", "Power draw of the card at every reading, watts.", &["gpu"]);
}

/// The highest rate of a lane in each direction, in bytes per second, from PCIe generation 1 on: transfers per second
/// × the payload part of the line code (8b/10b, 128b/130b, and from generation 6 on FLITs with 236 of 256 bytes).
const LANE: [f64; 6] = [
    2.5e9 / 8.0 * 0.8,
    5e9 / 8.0 * 0.8,
    8e9 / 8.0 * 128.0 / 130.0,
    16e9 / 8.0 * 128.0 / 130.0,
    32e9 / 8.0 * 128.0 / 130.0,
    64e9 / 8.0 * 236.0 / 256.0,
];

#[derive(Debug)]
pub(super) struct Card {
    identity: Identity,
    last: Option<(Instant, Sample)>,
    energy: Option<Energy>,
    pcie: Option<Traffic>,
    busy_seconds: Option<f64>,
    replays: Option<Carried>,
    ecc: EccErrors,
    xid_errors: XidErrors,
    /// Whether the card has provided its power.
    draws: bool,
    utilization_samples: Histogram,
    power_samples: Histogram,
}

/// Bytes so far. The value comes from the device's counters, which an estimate never replaces, or from its rates.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    Counted { transmit: Carried, receive: Carried },
    Integrated { transmit: f64, receive: f64 },
}

impl Card {
    pub(super) fn new(identity: Identity) -> Card {
        Card {
            identity,
            last: None,
            energy: None,
            pcie: None,
            busy_seconds: None,
            replays: None,
            ecc: EccErrors::default(),
            xid_errors: XidErrors::default(),
            draws: false,
            utilization_samples: Histogram::new(buckets::RATIO),
            power_samples: Histogram::new(buckets::WATTS),
        }
    }

    /// Returns whether a GPU that was found under the same label can be this card. A missing UUID matches every card.
    pub(super) fn may_be(&self, found: &Identity) -> bool {
        found.uuid.is_none() || self.identity.uuid.is_none() || found.uuid == self.identity.uuid
    }

    pub(super) fn identify(&mut self, found: Identity) {
        if found.uuid.is_some() {
            self.identity = found;
        }
    }

    /// Hides the latest reading, because the card does not answer. Sums stay.
    pub(super) fn lose(&mut self) {
        self.last = None;
    }

    /// Adds a reading. `depth` states which fields of the sample were read now.
    pub(super) fn observe(&mut self, now: Instant, patience: Duration, depth: Depth, sample: Sample) {
        // No time counts before the first sample, during a loss, and while the driver hung.
        let elapsed = self.last.as_ref().map(|(at, _)| now.saturating_duration_since(*at));
        let seconds = elapsed.filter(|elapsed| *elapsed <= patience).unwrap_or_default().as_secs_f64();
        if let Some(percent) = sample.utilization_percent {
            self.utilization_samples.observe(ratio(percent));
            *self.busy_seconds.get_or_insert_default() += ratio(percent) * seconds;
        }
        if let Some(milliwatts) = sample.power_milliwatts {
            self.power_samples.observe(thousandth(milliwatts));
            self.draws = true;
        }
        let counter = sample.energy_millijoules.filter(|_| depth == Depth::Full);
        let watts = sample.power_now_milliwatts.or(sample.power_milliwatts).map(thousandth);
        self.energy = Energy::after(self.energy, counter, watts, seconds);
        self.pcie = Traffic::after(self.pcie, &sample, seconds);
        self.replays = carry(self.replays, sample.pcie_replays);
        self.ecc.read(&sample.memory_errors);
        self.last = Some((now, sample));
    }

    /// Counts XID errors. Returns how many of this code to log now.
    pub(super) fn note_xid_errors(&mut self, report: XidReport, now: Instant) -> Option<u64> {
        self.xid_errors.note(report.code, report.errors, now)
    }

    /// Writes the sums, and the latest reading if it is not older than `patience`.
    pub(super) fn write(&self, now: Instant, patience: Duration, page: &mut Page) {
        let gpu = self.identity.label.as_str();
        self.write_sums(gpu, page);
        if let Some((at, sample)) = &self.last
            && now.saturating_duration_since(*at) <= patience
        {
            let Identity { uuid, name, driver, .. } = &self.identity;
            page.put(&INFO, &[gpu, uuid.as_deref().unwrap_or("unknown"), name, driver], 1.0);
            write_sample(gpu, sample, page);
        }
    }

    fn write_sums(&self, gpu: &str, page: &mut Page) {
        if let Some((source, joules)) = self.energy.as_ref().map(Energy::told) {
            page.put(&ENERGY, &[gpu, source], joules);
        }
        if let Some((source, transmit, receive)) = self.pcie.as_ref().map(Traffic::told) {
            page.put(&PCIE, &[gpu, "transmit", source], transmit);
            page.put(&PCIE, &[gpu, "receive", source], receive);
        }
        page.put_some(&REPLAYS, &[gpu], self.replays.map(|replays| replays.total() as f64));
        for (kind, counter, errors) in self.ecc.told() {
            page.put_some(&ECC_ERRORS, &[gpu, kind, counter], errors);
        }
        if self.identity.xid_errors {
            for (xid, errors) in self.xid_errors.counts() {
                page.put(&XID_ERRORS, &[gpu, xid], errors as f64);
            }
        }
        if let Some(busy) = self.busy_seconds {
            page.put(&BUSY, &[gpu], busy);
            page.put_child(&UTILIZATION_SAMPLE, &[gpu], &self.utilization_samples);
        }
        if self.draws {
            page.put_child(&POWER_SAMPLE, &[gpu], &self.power_samples);
        }
    }
}

fn write_sample(gpu: &str, sample: &Sample, page: &mut Page) {
    page.put_some(&UTILIZATION, &[gpu], sample.utilization_percent.map(ratio));
    page.put_some(&MEMORY_UTILIZATION, &[gpu], sample.memory_utilization_percent.map(ratio));
    page.put_some(&MEMORY_USED, &[gpu], sample.memory.map(|memory| memory.used as f64));
    page.put_some(&MEMORY_FREE, &[gpu], sample.memory.map(|memory| memory.free as f64));
    page.put_some(&MEMORY_TOTAL, &[gpu], sample.memory.map(|memory| memory.total as f64));
    page.put_some(&POWER, &[gpu], sample.power_milliwatts.map(thousandth));
    page.put_some(&POWER_LIMIT, &[gpu], sample.power_limit_milliwatts.map(thousandth));
    page.put_some(&TEMPERATURE, &[gpu], sample.temperature_celsius.map(f64::from));
    let clocks = sample.clocks;
    let domains = [
        ("graphics", clocks.graphics),
        ("sm", clocks.sm),
        ("memory", clocks.memory),
        ("video", clocks.video),
    ];
    for (domain, megahertz) in domains {
        page.put_some(&CLOCK, &[gpu, domain], megahertz.map(|megahertz| f64::from(megahertz) * 1e6));
    }
    if let Some(limits) = sample.clock_limits {
        for (bit, reason) in CLOCK_LIMITS {
            page.put(&CLOCK_LIMIT, &[gpu, reason], f64::from(u8::from(limits & bit != 0)));
        }
    }
    for (metric, link) in [(&LINK_GENERATION, sample.link_generation), (&LINK_WIDTH, sample.link_width)] {
        page.put_some(metric, &[gpu, "current"], link.current.map(f64::from));
        page.put_some(metric, &[gpu, "max"], link.max.map(f64::from));
    }
    page.put_some(&LINK_MAX, &[gpu], link_max(sample.link_generation, sample.link_width));
    let errors = &sample.memory_errors;
    for (metric, cause, count) in [
        (&RETIRED_PAGES, "single_bit", errors.retired_single_bit),
        (&RETIRED_PAGES, "double_bit", errors.retired_double_bit),
        (&REMAPPED_ROWS, "corrected", errors.remapped_corrected),
        (&REMAPPED_ROWS, "uncorrected", errors.remapped_uncorrected),
        (&MEMORY_REPAIR, "pending", errors.is_repair_pending.map(u64::from)),
        (&MEMORY_REPAIR, "failed", errors.has_repair_failed.map(u64::from)),
    ] {
        page.put_some(metric, &[gpu, cause], count.map(|count| count as f64));
    }
    for (process, bytes) in &sample.processes {
        page.put(&PROCESS_MEMORY, &[gpu, process], *bytes as f64);
    }
}

impl Traffic {
    fn after(before: Option<Traffic>, sample: &Sample, seconds: f64) -> Option<Traffic> {
        match (before, sample.pcie) {
            (
                Some(Traffic::Counted { mut transmit, mut receive }),
                Some(Pcie::Counted { transmit: t, receive: r }),
            ) => {
                transmit.read(t);
                receive.read(r);
                Some(Traffic::Counted { transmit, receive })
            }
            (_, Some(Pcie::Counted { transmit, receive })) => {
                let (transmit, receive) = (Carried::new(transmit), Carried::new(receive));
                Some(Traffic::Counted { transmit, receive })
            }
            // If a counter fails for a moment, its value stays; no estimate replaces it.
            (Some(Traffic::Counted { .. }), _) | (_, None) => before,
            (integrated, Some(Pcie::Sampled { transmit: t, receive: r })) => {
                let (transmit, receive) = match integrated {
                    Some(Traffic::Integrated { transmit, receive }) => (transmit, receive),
                    _ => (0.0, 0.0),
                };
                Some(Traffic::Integrated {
                    transmit: transmit + f64::from(t) * 1024.0 * seconds,
                    receive: receive + f64::from(r) * 1024.0 * seconds,
                })
            }
        }
    }

    /// Returns the label `source`, and the bytes from and to the GPU.
    fn told(&self) -> (&'static str, f64, f64) {
        match *self {
            Traffic::Counted { transmit, receive } => {
                ("counter", transmit.total() as f64, receive.total() as f64)
            }
            Traffic::Integrated { transmit, receive } => ("integrated", transmit, receive),
        }
    }
}

/// Returns the shortest time in which a 32-bit counter of PCIe bytes can wrap, or `None` if there is no such counter.
pub(super) fn wrap(sample: &Sample) -> Option<Duration> {
    let Some(Pcie::Counted { .. }) = sample.pcie else { return None };
    let fastest = link_max(sample.link_generation, sample.link_width)?;
    Some(Duration::from_secs_f64(2_f64.powi(32) / fastest))
}

fn link_max(generation: Link, width: Link) -> Option<f64> {
    let index = usize::try_from(generation.max?.checked_sub(1)?).ok()?;
    Some(LANE.get(index)? * f64::from(width.max?))
}

fn ratio(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn thousandth(of: u32) -> f64 {
    f64::from(of) / 1e3
}
