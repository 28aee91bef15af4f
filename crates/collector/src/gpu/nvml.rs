//! Reads NVIDIA's GPUs with NVML, a library that comes with the driver and is loaded at run time.

mod memory_errors;
mod query;
#[cfg_attr(not(target_os = "linux"), path = "nvml/xid_events_absent.rs")]
mod xid_events;

use std::{ffi::OsStr, fmt, sync::Arc, time::Duration};

use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor},
    enums::device::UsedGpuMemory,
    error::NvmlError,
    structs::device::FieldId,
};

use super::{
    Clocks, Depth, Identity, Link, Memory, Pcie, Reader, Sample, XidReport, counter::Counter, events::Events,
    holder,
};
use crate::CollectError;
use query::{Query, index, number};

/// The name under which the library exists without the driver's development files.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// `NVML_FI_DEV_PCIE_COUNT_TX_BYTES` and `…_RX_BYTES`. Reading both takes 0.2 ms. The throughput call takes 20 ms per
/// direction.
const PCIE_COUNTERS: [FieldId; 2] = [FieldId(197), FieldId(198)];
/// `NVML_FI_DEV_POWER_INSTANT`: the present power. The power call returns the mean of a second. It takes 0.01 ms.
const POWER_NOW: [FieldId; 1] = [FieldId(186)];

/// Reads GPUs with NVML. Without a driver it finds none, within a millisecond.
#[derive(Default)]
pub struct Nvml {
    library: Option<Arc<nvml_wrapper::Nvml>>,
    events: Events,
    /// By position: the PCIe counters from and to the GPU, if the device seems to have them.
    counted: Vec<Option<[Counter; 2]>>,
}

impl Nvml {
    /// Creates a reader that has loaded nothing yet.
    #[must_use]
    pub fn new() -> Nvml {
        Nvml::default()
    }

    /// Reads as [`Reader::read`] does, and reports the duration of each query.
    ///
    /// # Errors
    /// The GPU no longer answers.
    pub fn read_timed(
        &mut self,
        position: usize,
        depth: Depth,
        sample: &mut Sample,
        tell: impl FnMut(&'static str, Duration),
    ) -> Result<(), CollectError> {
        let lost = |error: NvmlError| CollectError::Failed(error.to_string());
        let library =
            self.library.as_ref().ok_or_else(|| CollectError::Failed("NVML is not loaded".to_owned()))?;
        // A handle borrows the library. NVML looks a handle up in a table, which is cheap.
        let device = library.device_by_index(index(position)).map_err(lost)?;
        let mut query = Query::new(tell);
        let counted = &mut self.counted[position];
        if depth != Depth::Glance {
            traffic(&device, &mut query, sample, counted).map_err(lost)?;
        }
        if depth == Depth::Traffic {
            return Ok(());
        }
        fast(&device, &mut query, sample).map_err(lost)?;
        if depth == Depth::Full {
            full(&device, &mut query, sample, counted.is_some()).map_err(lost)?;
        }
        Ok(())
    }
}

impl Reader for Nvml {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        let failed = |error: NvmlError| CollectError::Failed(error.to_string());
        // NVML finds a lost GPU again only after it is loaded again.
        self.events.end();
        self.library = None;
        let library = self.library.insert(Arc::new(load().map_err(unloaded)?));
        let driver = library.sys_driver_version().unwrap_or_else(|_| "unknown".to_owned());
        let count = library.device_count().map_err(failed)?;
        if count == 0 {
            return Err(CollectError::Failed("there is no GPU".to_owned()));
        }
        self.counted = vec![Some(Default::default()); count as usize];
        let found: Vec<_> = (0..count).map(|index| identity(library, index, &driver)).collect();
        for position in (0..found.len()).filter(|position| found[*position].xid_errors) {
            self.events.watch(position, xid_events::watch(library.clone(), position));
        }
        Ok(found)
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        self.read_timed(position, depth, sample, |_, _| {})
    }

    fn xid_errors(&mut self) -> Vec<XidReport> {
        self.events.take()
    }
}

impl fmt::Debug for Nvml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nvml").field("loaded", &self.library.is_some()).finish_non_exhaustive()
    }
}

fn load() -> Result<nvml_wrapper::Nvml, NvmlError> {
    match nvml_wrapper::Nvml::builder().lib_path(OsStr::new(LIBRARY)).init() {
        Err(NvmlError::LibloadingError(_)) => nvml_wrapper::Nvml::init(),
        loaded => loaded,
    }
}

/// Most machines have no NVIDIA driver and need none.
fn unloaded(error: NvmlError) -> CollectError {
    match error {
        NvmlError::LibloadingError(_) => {
            CollectError::Absent("no NVIDIA driver: GPU metrics are off".to_owned())
        }
        error => CollectError::Failed(error.to_string()),
    }
}

/// Identifies a GPU. A lost GPU has no UUID, and its reading reports the loss.
fn identity(library: &nvml_wrapper::Nvml, index: u32, driver: &str) -> Identity {
    let device = library.device_by_index(index);
    let device = device.as_ref().ok();
    Identity {
        label: index.to_string(),
        uuid: device.and_then(|device| device.uuid().ok()),
        name: device.and_then(|device| device.name().ok()).unwrap_or_else(|| "unknown".to_owned()),
        driver: driver.to_owned(),
        mig: device.and_then(|device| device.mig_mode().ok()).is_some_and(|mode| mode.current == 1),
        xid_errors: device.is_some_and(xid_events::are_reported),
    }
}

fn fast(
    device: &Device<'_>,
    query: &mut Query<impl FnMut(&'static str, Duration)>,
    sample: &mut Sample,
) -> Result<(), NvmlError> {
    let utilization = query.ask("utilization", || device.utilization_rates())?;
    sample.utilization_percent = utilization.as_ref().map(|rates| rates.gpu);
    sample.memory_utilization_percent = utilization.map(|rates| rates.memory);
    let memory = query.ask("memory", || device.memory_info())?;
    sample.memory = memory.map(|memory| Memory { used: memory.used, free: memory.free, total: memory.total });
    sample.power_milliwatts = query.ask("power", || device.power_usage())?;
    let now = query.ask("power now", || device.field_values_for(&POWER_NOW))?;
    let now = now.into_iter().flatten().next().and_then(|value| number(&value.ok()?.value.ok()?));
    sample.power_now_milliwatts = now.and_then(|milliwatts| u32::try_from(milliwatts).ok());
    sample.temperature_celsius = query.ask("temperature", || device.temperature(TemperatureSensor::Gpu))?;
    let mut clock = |name, clock| query.ask(name, || device.clock_info(clock));
    sample.clocks = Clocks {
        graphics: clock("clock graphics", Clock::Graphics)?,
        sm: clock("clock sm", Clock::SM)?,
        memory: clock("clock memory", Clock::Memory)?,
        video: clock("clock video", Clock::Video)?,
    };
    let limits = query.ask("clock limits", || device.current_throttle_reasons())?;
    sample.clock_limits = limits.map(|reasons| reasons.bits());
    Ok(())
}

fn traffic(
    device: &Device<'_>,
    query: &mut Query<impl FnMut(&'static str, Duration)>,
    sample: &mut Sample,
    counted: &mut Option<[Counter; 2]>,
) -> Result<(), NvmlError> {
    if let Some([sent, received]) = counted {
        let counters = query.ask("pcie counters", || device.field_values_for(&PCIE_COUNTERS))?;
        let mut bytes = counters.into_iter().flatten().map(|value| number(&value.ok()?.value.ok()?));
        match (bytes.next().flatten(), bytes.next().flatten()) {
            (Some(transmit), Some(receive)) => {
                let (transmit, receive) = (sent.read(transmit), received.read(receive));
                sample.pcie = Some(Pcie::Counted { transmit, receive });
            }
            // A counter that fails for a moment still exists. A counter that never had a value does not exist.
            _ if matches!(sample.pcie, Some(Pcie::Counted { .. })) => {}
            _ => *counted = None,
        }
    }
    Ok(())
}

fn full(
    device: &Device<'_>,
    query: &mut Query<impl FnMut(&'static str, Duration)>,
    sample: &mut Sample,
    counted: bool,
) -> Result<(), NvmlError> {
    // The energy is a counter, so nothing is lost between readings. It is the slowest query, 3 ms on an H100.
    sample.energy_millijoules = query.ask("energy", || device.total_energy_consumption())?;
    sample.power_limit_milliwatts = query.ask("power limit", || device.enforced_power_limit())?;
    sample.link_generation = Link {
        current: query.ask("pcie generation", || device.current_pcie_link_gen())?,
        max: query.ask("pcie generation max", || device.max_pcie_link_gen())?,
    };
    sample.link_width = Link {
        current: query.ask("pcie width", || device.current_pcie_link_width())?,
        max: query.ask("pcie width max", || device.max_pcie_link_width())?,
    };
    memory_errors::read(device, query, &mut sample.memory_errors)?;
    sample.pcie_replays = query.ask("pcie replays", || device.pcie_replay_counter())?.map(u64::from);
    if !counted {
        let transmit = query.ask("pcie transmit", || device.pcie_throughput(PcieUtilCounter::Send))?;
        let receive = query.ask("pcie receive", || device.pcie_throughput(PcieUtilCounter::Receive))?;
        sample.pcie = transmit.zip(receive).map(|(transmit, receive)| Pcie::Sampled { transmit, receive });
    }
    let computing = query.ask("compute processes", || device.running_compute_processes())?;
    let drawing = query.ask("graphics processes", || device.running_graphics_processes())?;
    let all = computing.into_iter().chain(drawing).flatten();
    let holders = all.filter_map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some((process.pid, bytes)),
        UsedGpuMemory::Unavailable => None,
    });
    sample.processes = holder::by_name(holders, holder::name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_nvml_library_is_an_absent_driver_and_no_failure() {
        let missing = nvml_wrapper::Nvml::builder().lib_path(OsStr::new("/nonexistent/nvml.so")).init();
        let told = unloaded(missing.unwrap_err());
        assert_eq!(told, CollectError::Absent("no NVIDIA driver: GPU metrics are off".to_owned()));
        assert!(matches!(unloaded(NvmlError::NoPermission), CollectError::Failed(_)));
    }
}
