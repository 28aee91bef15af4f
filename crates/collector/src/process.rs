//! This process, under the standard names of Prometheus exporters.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;

use super::{Collect, CollectError};
use streamgauge_meter::metric::{Exposition, Metric, Page};

const CPU: Metric = Metric::counter("process_cpu_seconds_total", "User and system CPU time, seconds.", &[]);
const RESIDENT: Metric = Metric::gauge("process_resident_memory_bytes", "Resident memory, bytes.", &[]);
const VIRTUAL: Metric = Metric::gauge("process_virtual_memory_bytes", "Virtual memory, bytes.", &[]);
const THREADS: Metric = Metric::gauge("process_threads", "Threads.", &[]);
const OPEN_FDS: Metric = Metric::gauge("process_open_fds", "Open file descriptors.", &[]);
const MAX_FDS: Metric = Metric::gauge("process_max_fds", "Soft limit of file descriptors.", &[]);
const START: Metric = Metric::gauge(
    "process_start_time_seconds",
    "When the process started, seconds since the Unix epoch.",
    &[],
);

/// Reads `/proc/self`. CPU time has the kernel's resolution of 10 ms; it is not rounded to seconds.
#[derive(Debug, Default)]
pub struct ProcessCollector {
    shown: Arc<Mutex<Option<ProcessReading>>>,
    #[cfg(target_os = "linux")]
    booted: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct ProcessReading {
    cpu_seconds: f64,
    resident: u64,
    virtual_memory: u64,
    threads: i64,
    open_fds: usize,
    /// `None` means no limit.
    max_fds: Option<u64>,
    start: f64,
}

impl ProcessCollector {
    /// Creates a collector that has read nothing yet.
    #[must_use]
    pub fn new() -> ProcessCollector {
        ProcessCollector::default()
    }

    #[cfg(target_os = "linux")]
    fn read(&mut self) -> procfs::ProcResult<ProcessReading> {
        use procfs::process::{LimitValue, Process};

        // The boot time does not change, and reading it costs a read of all of /proc/stat.
        let booted = match self.booted {
            Some(booted) => booted,
            None => *self.booted.insert(procfs::boot_time_secs()?),
        };
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Ok(ProcessReading {
            cpu_seconds: seconds(stat.utime + stat.stime),
            resident: stat.rss * procfs::page_size(),
            virtual_memory: stat.vsize,
            threads: stat.num_threads,
            open_fds: process.fd_count()?,
            max_fds: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(limit) => Some(limit),
                LimitValue::Unlimited => None,
            },
            start: booted as f64 + seconds(stat.starttime),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn read(&mut self) -> Result<ProcessReading, CollectError> {
        Err(CollectError::Failed("the metrics of the process need Linux".to_owned()))
    }
}

impl Collect for ProcessCollector {
    fn name(&self) -> &'static str {
        "process"
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let metrics = [&CPU, &RESIDENT, &VIRTUAL, &THREADS, &OPEN_FDS, &MAX_FDS, &START];
        Exposition::register(registry, &metrics, self.shown.clone(), |shown, page| {
            shown.iter().for_each(|reading| reading.write(page));
        })
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        let reading = self.read().map_err(|error| CollectError::Failed(error.to_string()));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = reading.as_ref().ok().copied();
        reading.map(drop)
    }
}

impl ProcessReading {
    fn write(&self, page: &mut Page) {
        page.put(&CPU, &[], self.cpu_seconds);
        page.put(&RESIDENT, &[], self.resident as f64);
        page.put(&VIRTUAL, &[], self.virtual_memory as f64);
        page.put(&THREADS, &[], self.threads as f64);
        page.put(&OPEN_FDS, &[], self.open_fds as f64);
        page.put_some(&MAX_FDS, &[], self.max_fds.map(|limit| limit as f64));
        page.put(&START, &[], self.start);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn process_cpu_time_and_open_files_are_shown() {
        let mut process = ProcessCollector::new();
        let before = process.read().unwrap();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
        let began = Instant::now();
        // Less than a second: a counter rounded to seconds would not change, or would jump by a whole second.
        while process.read().unwrap().cpu_seconds < before.cpu_seconds + 0.2 {
            assert!(began.elapsed() < Duration::from_secs(30), "no CPU time in 30 s of work");
        }
        let after = process.read().unwrap();
        // Other tests in this process close files too.
        assert!(after.open_fds >= before.open_fds + 20, "{before:?} {after:?}");
        assert!(after.cpu_seconds < before.cpu_seconds + 60.0);
        assert!(after.resident > 1 << 20 && after.virtual_memory >= after.resident, "{after:?}");
        assert!(after.threads >= 1);
        drop(files);
    }

    #[test]
    fn process_start_time_is_shortly_before_now() {
        let reading = ProcessCollector::new().read().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        // The boot time has a resolution of one second.
        assert!(reading.start <= now + 1.0 && reading.start > now - 3600.0, "{} {now}", reading.start);
    }
}
