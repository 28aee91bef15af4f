//! The machine of the agents.

use std::thread;

use super::recording::Machine;

/// Returns the available information about it.
#[must_use]
pub(crate) fn machine() -> Machine {
    Machine {
        system: system(),
        architecture: std::env::consts::ARCH.into(),
        cpu: cpu(),
        cores: thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: memory(),
    }
}

#[cfg(target_os = "linux")]
fn system() -> String {
    let version = procfs::sys::kernel::Version::current();
    version.map_or_else(
        |_| "linux".into(),
        |version| format!("linux {}.{}.{}", version.major, version.minor, version.patch),
    )
}

#[cfg(target_os = "linux")]
fn cpu() -> Option<String> {
    use procfs::Current;

    procfs::CpuInfo::current().ok()?.model_name(0).map(str::to_owned)
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    use procfs::Current;

    Some(procfs::Meminfo::current().ok()?.mem_total)
}

#[cfg(not(target_os = "linux"))]
fn system() -> String {
    std::env::consts::OS.into()
}

#[cfg(not(target_os = "linux"))]
fn cpu() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_has_a_system_and_cores() {
        let machine = machine();
        assert!(!machine.system.is_empty() && machine.cores > 0, "{machine:?}");
        #[cfg(target_os = "linux")]
        assert!(machine.memory_bytes.is_some_and(|bytes| bytes > 1 << 20), "{machine:?}");
    }
}
