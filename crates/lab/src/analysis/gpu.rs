//! Summary of the GPU's readings.

use serde::Serialize;

use super::{GpuSample, Spread};

/// The distributions of all readings of the GPUs, in watts, ratios and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct GpuSummary {
    /// The number of readings.
    pub(crate) samples: usize,
    /// Power in watts.
    pub(crate) watts: Option<Spread>,
    /// The share of time in which a kernel ran.
    pub(crate) utilization: Option<Spread>,
    /// Bytes of memory in use.
    pub(crate) memory: Option<Spread>,
}

impl GpuSummary {
    pub(super) fn of(samples: &[GpuSample]) -> Option<GpuSummary> {
        let spread = |value: fn(&GpuSample) -> f64| Spread::of(&mut samples.iter().map(value).collect());
        (!samples.is_empty()).then(|| GpuSummary {
            samples: samples.len(),
            watts: spread(|sample| sample.watts),
            utilization: spread(|sample| sample.utilization),
            memory: spread(|sample| sample.memory),
        })
    }
}
