//! What a driver says of one GPU, in its own units.

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// PCIe's counters alone, if there are any.
    Traffic,
    /// What spikes, but for PCIe's counters: utilization, power, clocks, memory.
    Glance,
    /// The same, and PCIe's counters.
    Fast,
    /// All.
    Full,
}

/// Which GPU it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The label `gpu`: the driver's index.
    pub label: String,
    /// `None`: it would not say, for it is lost.
    pub uuid: Option<String>,
    /// Its product name.
    pub name: String,
    /// The driver's version.
    pub driver: String,
    /// It is divided by MIG.
    pub mig: bool,
}

/// One reading. What the device does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Percent of the driver's sample period (1/6 s to 1 s, by product) in which a kernel ran.
    pub utilization_percent: Option<u32>,
    /// Percent of it in which memory was read or written.
    pub memory_utilization_percent: Option<u32>,
    /// Bytes.
    pub memory: Option<Memory>,
    /// Draw of the whole card; on recent cards its mean over a second.
    pub power_milliwatts: Option<u32>,
    /// Draw of the whole card now, where the other is a mean.
    pub power_now_milliwatts: Option<u32>,
    /// The limit that is enforced.
    pub power_limit_milliwatts: Option<u32>,
    /// Since the driver was loaded.
    pub energy_millijoules: Option<u64>,
    /// Of the die.
    pub temperature_celsius: Option<u32>,
    /// MHz.
    pub clocks: Clocks,
    /// Why the clocks are not higher: the bits of NVML's clock event reasons.
    pub clock_limits: Option<u64>,
    /// Now and at most.
    pub link_generation: Link,
    /// Lanes, now and at most.
    pub link_width: Link,
    /// What went over PCIe.
    pub pcie: Option<Pcie>,
    /// Since the driver was loaded.
    pub pcie_replays: Option<u64>,
    /// Bytes of GPU memory by process name.
    pub processes: Vec<(String, u64)>,
}

/// Memory of a card, bytes. What the driver keeps for itself is in none but `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Taken by processes.
    pub used: u64,
    /// Not taken.
    pub free: u64,
    /// Installed.
    pub total: u64,
}

/// Clocks by domain, MHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Graphics.
    pub graphics: Option<u32>,
    /// Streaming multiprocessors.
    pub sm: Option<u32>,
    /// Memory.
    pub memory: Option<u32>,
    /// Video.
    pub video: Option<u32>,
}

/// A property of the PCIe link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Now: it falls when idle.
    pub current: Option<u32>,
    /// What card and slot are capable of.
    pub max: Option<u32>,
}

/// What went over PCIe, seen from the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pcie {
    /// Bytes, by the device's counters.
    Counted {
        /// From the GPU.
        transmit: u64,
        /// To the GPU.
        receive: u64,
    },
    /// KiB a second, over the last 20 ms.
    Sampled {
        /// From the GPU.
        transmit: u32,
        /// To the GPU.
        receive: u32,
    },
}
