//! The processes that hold a GPU's memory.

use std::{collections::BTreeMap, fs};

/// Sums memory by process name. A process that the driver lists twice, because it computes and renders, counts once.
/// If a name cannot be read, as from within a container, it is `unknown`.
pub(super) fn by_name(
    holders: impl IntoIterator<Item = (u32, u64)>,
    name: impl Fn(u32) -> Option<String>,
) -> Vec<(String, u64)> {
    let mut by_pid = BTreeMap::<u32, u64>::new();
    for (pid, bytes) in holders {
        let held = by_pid.entry(pid).or_default();
        *held = bytes.max(*held);
    }
    let mut by_name = BTreeMap::<String, u64>::new();
    for (pid, bytes) in by_pid {
        *by_name.entry(name(pid).unwrap_or_else(|| "unknown".to_owned())).or_default() += bytes;
    }
    by_name.into_iter().collect()
}

/// Returns the name of a process: its first 15 bytes, as the kernel keeps them.
pub(super) fn name(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name).trim_end().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpu_memory_adds_up_by_process_name_and_counts_each_process_once() {
        let names = |pid| [(1, "ollama"), (2, "ollama"), (3, "Xorg")].iter().find(|known| known.0 == pid);
        let held = by_name([(1, 100), (2, 50), (3, 7), (3, 7), (9, 1)], |pid| Some(names(pid)?.1.to_owned()));
        assert_eq!(held, [("Xorg".to_owned(), 7), ("ollama".to_owned(), 150), ("unknown".to_owned(), 1)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_name_is_found_and_missing_process_has_none() {
        assert!(name(std::process::id()).is_some_and(|name| !name.contains('\n')));
        assert_eq!(name(u32::MAX), None);
    }
}
