//! Reads the GPUs on a thread of their own, because a driver may block.
#![expect(clippy::disallowed_types, reason = "a thread of its own is no async code")]

use std::{
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::Sender;

use super::{agent::Clock, recorder::Row, recording::Gpu};
use crate::analysis::GpuSample;
use streamgauge_collector::gpu::{Depth, Pcie, Reader, Sample};

/// The interval that TR117 asks for.
const EVERY: Duration = Duration::from_millis(100);
/// The time after which another reading has been taken.
pub(super) const NEXT: Duration = Duration::from_millis(200);

/// The GPUs of the machine.
pub(super) struct Gpus {
    reader: Box<dyn Reader>,
    pub(super) found: Vec<Gpu>,
}

impl Gpus {
    /// Looks for GPUs. `None`: there is no GPU, or no driver.
    pub(super) fn open(mut reader: Box<dyn Reader>) -> Option<Gpus> {
        let identities = reader.open().ok()?;
        let found = identities
            .into_iter()
            .map(|identity| Gpu { index: identity.label, name: identity.name, driver: identity.driver })
            .collect::<Vec<_>>();
        (!found.is_empty()).then_some(Gpus { reader, found })
    }

    /// Reads until the handle is dropped. The drop does not wait for the thread, because a driver may hang.
    pub(super) fn watch(self, clock: Clock, rows: Sender<Row>) -> Option<SyncSender<()>> {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let Gpus { mut reader, found } = self;
        let read = move || {
            let mut last: Vec<(Sample, Option<(f64, Sample)>)> = vec![(Sample::default(), None); found.len()];
            let mut due = Instant::now();
            loop {
                for (position, gpu) in found.iter().enumerate() {
                    let (sample, before) = &mut last[position];
                    if reader.read(position, Depth::Fast, sample).is_err() {
                        return;
                    }
                    let at = clock.now();
                    let row = row(position as u32, at, sample, before.as_ref());
                    *before = Some((at, sample.clone()));
                    // If the recorder cannot keep up, the sample is lost, and no run is delayed.
                    if rows.try_send(Row::Gpu(gpu.index.clone(), row)).is_err() && rows.is_closed() {
                        return;
                    }
                }
                due += EVERY;
                let wait = due.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        thread::Builder::new().name("gpu".into()).spawn(read).ok().map(|_| stop)
    }
}

fn row(gpu: u32, at: f64, sample: &Sample, before: Option<&(f64, Sample)>) -> GpuSample {
    let rates = match (sample.pcie, before) {
        (Some(Pcie::Sampled { transmit, receive }), _) => {
            Some((f64::from(receive) * 1024.0, f64::from(transmit) * 1024.0))
        }
        (Some(Pcie::Counted { transmit, receive }), Some((then, earlier))) => match earlier.pcie {
            Some(Pcie::Counted { transmit: sent, receive: received }) if at > *then => {
                let rate = |now: u64, then: u64| now.saturating_sub(then) as f64;
                let span = at - then;
                Some(((rate(receive, received) / span).round(), (rate(transmit, sent) / span).round()))
            }
            _ => None,
        },
        _ => None,
    };
    GpuSample {
        gpu,
        at,
        watts: sample.power_milliwatts.map_or(f64::NAN, |power| f64::from(power) / 1e3),
        utilization: sample.utilization_percent.map_or(f64::NAN, |percent| f64::from(percent) / 100.0),
        memory: sample.memory.map_or(f64::NAN, |memory| memory.used as f64),
        pcie_received: rates.map_or(f64::NAN, |rates| rates.0),
        pcie_sent: rates.map_or(f64::NAN, |rates| rates.1),
        energy: sample.energy_millijoules.map_or(f64::NAN, |energy| energy as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpu_counters_become_rates_and_missing_values_stay_unknown() {
        let counted = |bytes| Sample {
            pcie: Some(Pcie::Counted { transmit: bytes, receive: 3 * bytes }),
            power_milliwatts: Some(72_500),
            energy_millijoules: Some(1_500),
            ..Sample::default()
        };
        let first = row(0, 1.0, &counted(100), None);
        assert!(first.pcie_received.is_nan() && first.utilization.is_nan());
        assert_eq!((first.watts, first.energy), (72.5, 1.5));
        let second = row(0, 1.5, &counted(300), Some(&(1.0, counted(100))));
        assert_eq!((second.pcie_received, second.pcie_sent), (1200.0, 400.0));
    }
}
