//! The values that a driver reports for one GPU, in the driver's own units.

/// The fields that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only the PCIe counters, if there are any.
    Traffic,
    /// The fields that can spike, without the PCIe counters: utilization, power, clocks, memory.
    Glance,
    /// The fields of `Glance`, and the PCIe counters.
    Fast,
    /// All fields.
    Full,
}

/// The identity of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The label `gpu`: the driver's index.
    pub label: String,
    /// The UUID. `None`: the GPU is lost and does not report it.
    pub uuid: Option<String>,
    /// The product name.
    pub name: String,
    /// The driver's version.
    pub driver: String,
    /// Whether MIG is on.
    pub mig: bool,
    /// Whether the driver reports the XID errors of this GPU.
    pub xid_errors: bool,
}

/// One reading. A value that the device does not provide is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Percent of the driver's sample period (1/6 s to 1 s, depending on the product) in which a kernel ran.
    pub utilization_percent: Option<u32>,
    /// Percent of the same period in which memory was read or written.
    pub memory_utilization_percent: Option<u32>,
    /// Memory, bytes.
    pub memory: Option<Memory>,
    /// Power of the whole card. On recent cards it is the mean over one second.
    pub power_milliwatts: Option<u32>,
    /// Present power of the whole card, on cards whose `power_milliwatts` is a mean.
    pub power_now_milliwatts: Option<u32>,
    /// The power limit in force.
    pub power_limit_milliwatts: Option<u32>,
    /// Energy since the driver was loaded.
    pub energy_millijoules: Option<u64>,
    /// Temperature of the die.
    pub temperature_celsius: Option<u32>,
    /// Clock frequencies, MHz.
    pub clocks: Clocks,
    /// The reasons that limit the clocks: the bits of NVML's clock event reasons.
    pub clock_limits: Option<u64>,
    /// PCIe generation, current and maximum.
    pub link_generation: Link,
    /// PCIe lanes, current and maximum.
    pub link_width: Link,
    /// PCIe traffic.
    pub pcie: Option<Pcie>,
    /// PCIe packets that were sent again since the driver was loaded.
    pub pcie_replays: Option<u64>,
    /// Errors of the memory, and its repairs.
    pub memory_errors: MemoryErrors,
    /// Bytes of GPU memory by process name.
    pub processes: Vec<(String, u64)>,
}

/// Memory of a card, bytes. Memory that the driver reserves counts in `total` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Used by processes.
    pub used: u64,
    /// Free.
    pub free: u64,
    /// Total.
    pub total: u64,
}

/// Errors of a card's memory, and its repairs. A card retires pages, or remaps rows (Ampere and newer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryErrors {
    /// Errors that ECC has corrected since the driver was loaded.
    pub corrected: Option<u64>,
    /// Errors that ECC could not correct since the driver was loaded.
    pub uncorrected: Option<u64>,
    /// Errors that ECC has corrected in the life of the card.
    pub corrected_aggregate: Option<u64>,
    /// Errors that ECC could not correct in the life of the card.
    pub uncorrected_aggregate: Option<u64>,
    /// Pages that are no longer used after several single-bit errors.
    pub retired_single_bit: Option<u64>,
    /// Pages that are no longer used after a double-bit error.
    pub retired_double_bit: Option<u64>,
    /// Rows that a spare row replaces after corrected errors.
    pub remapped_corrected: Option<u64>,
    /// Rows that a spare row replaces after an error that could not be corrected.
    pub remapped_uncorrected: Option<u64>,
    /// Whether a retirement or a replacement takes effect with the next reset of the GPU.
    pub is_repair_pending: Option<bool>,
    /// Whether a row could not be replaced.
    pub has_repair_failed: Option<bool>,
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
    /// The current value, which falls when the card is idle.
    pub current: Option<u32>,
    /// The highest value that card and slot support.
    pub max: Option<u32>,
}

/// PCIe traffic, seen from the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pcie {
    /// Bytes, from the device's counters.
    Counted {
        /// From the GPU.
        transmit: u64,
        /// To the GPU.
        receive: u64,
    },
    /// KiB per second, over the last 20 ms.
    Sampled {
        /// From the GPU.
        transmit: u32,
        /// To the GPU.
        receive: u32,
    },
}
