//! One GPU: what it said last, in base units, and what its samples add up to.

use std::time::{Duration, Instant};

use super::{
    carried::{Carried, carry},
    clock_limit::CLOCK_LIMITS,
    energy::Energy,
    sample::{Depth, Identity, Link, Pcie, Sample},
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
    INFO = gauge("info", "The GPU; the value is 1.", &["gpu", "uuid", "name", "driver"]);
    UTILIZATION = gauge("utilization_ratio", "Part of the driver's sample period (1/6 s to 1 s) in which a kernel ran.", &["gpu"]);
    MEMORY_UTILIZATION = gauge("memory_utilization_ratio", "Part of it in which memory was read or written.", &["gpu"]);
    MEMORY_USED = gauge("memory_used_bytes", "Memory that processes took, bytes.", &["gpu"]);
    MEMORY_FREE = gauge("memory_free_bytes", "Memory that is free, bytes.", &["gpu"]);
    MEMORY_TOTAL = gauge("memory_total_bytes", "Memory installed, bytes; some is the driver's own.", &["gpu"]);
    POWER = gauge("power_watts", "Draw of the card, watts.", &["gpu"]);
    POWER_LIMIT = gauge("power_limit_watts", "The power limit that is enforced, watts.", &["gpu"]);
    TEMPERATURE = gauge("temperature_celsius", "Temperature of the die, degrees Celsius.", &["gpu"]);
    CLOCK = gauge("clock_hertz", "Clock of the domain, hertz.", &["gpu", "domain"]);
    CLOCK_LIMIT = gauge("clock_limit", "1 while this keeps the clocks from being higher, else 0.", &["gpu", "reason"]);
    LINK_GENERATION = gauge("pcie_link_generation", "PCIe generation of the link.", &["gpu", "state"]);
    LINK_WIDTH = gauge("pcie_link_width", "PCIe lanes of the link.", &["gpu", "state"]);
    LINK_MAX = gauge("pcie_max_bytes_per_second", "What the link can carry each way at its best, before packet headers, bytes a second.", &["gpu"]);
    PROCESS_MEMORY = gauge("process_memory_bytes", "GPU memory by the name of the process, bytes.", &["gpu", "process"]);
    ENERGY = counter("energy_joules_total", "Energy, joules: by the device's counter and the power between its readings, or power integrated over the samples.", &["gpu", "source"]);
    PCIE = counter("pcie_bytes_total", "Bytes over PCIe, from (transmit) and to (receive) the GPU: by the device's counters, or 20 ms samples of the rate integrated.", &["gpu", "direction", "source"]);
    REPLAYS = counter("pcie_replays_total", "PCIe packets that were sent again.", &["gpu"]);
    BUSY = counter("busy_seconds_total", "Utilization integrated over the samples, seconds.", &["gpu"]);
    UTILIZATION_SAMPLE = histogram("utilization_sample_ratio", "Utilization, every sample.", &["gpu"]);
    POWER_SAMPLE = histogram("power_sample_watts", "Draw of the card, every sample, watts.", &["gpu"]);
}

/// Bytes a second that a lane carries each way, from PCIe generation 1 on: transfers a second times the part of the
/// line code that is payload (8b/10b, 128b/130b, from 6 on FLITs of 236 in 256 bytes).
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
    /// It has told its power.
    draws: bool,
    utilization_samples: Histogram,
    power_samples: Histogram,
}

/// Bytes so far: by the device's counters, which are never replaced by a guess, or by its rates.
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
            draws: false,
            utilization_samples: Histogram::new(buckets::RATIO),
            power_samples: Histogram::new(buckets::WATTS),
        }
    }

    /// What was found under the same label is this card, as far as it says.
    pub(super) fn may_be(&self, found: &Identity) -> bool {
        found.uuid.is_none() || self.identity.uuid.is_none() || found.uuid == self.identity.uuid
    }

    pub(super) fn identify(&mut self, found: Identity) {
        if found.uuid.is_some() {
            self.identity = found;
        }
    }

    /// It does not answer: what it said last is shown no more. What was counted stays.
    pub(super) fn lose(&mut self) {
        self.last = None;
    }

    /// `depth`: what of the sample was read now.
    pub(super) fn observe(&mut self, now: Instant, patience: Duration, depth: Depth, sample: Sample) {
        // The time before the first sample, before a loss, or while the driver hung was seen by nobody.
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
        self.last = Some((now, sample));
    }

    /// Counters and histograms always, the rest if it is not older than `patience`.
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
            // A counter that fails for a moment is not replaced by a guess.
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

    /// The label `source`, and bytes from and to the GPU.
    fn told(&self) -> (&'static str, f64, f64) {
        match *self {
            Traffic::Counted { transmit, receive } => {
                ("counter", transmit.total() as f64, receive.total() as f64)
            }
            Traffic::Integrated { transmit, receive } => ("integrated", transmit, receive),
        }
    }
}

/// The shortest time in which a counter of 32 bits of what goes over PCIe begins again; `None`: there is none.
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
