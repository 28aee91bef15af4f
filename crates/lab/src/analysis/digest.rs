//! The rows of one run, reduced to what an analysis uses of them. A recording has millions of rows, and a digest of a run
//! has one value for each response, each second and each bin of a curve.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Curve, Gaps, Spread,
    window::{Busiest, Window},
};

/// The chunks of one run, reduced, and the lag of its event loops.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDigest {
    /// The run's number.
    pub run: u32,
    pub(super) chunks: usize,
    pub(super) bytes: u64,
    pub(super) gap: Option<Spread>,
    pub(super) parse: Option<Spread>,
    /// The lag, by the probe on a schedule if there is one.
    pub(super) lag: Option<Spread>,
    /// The gaps of each response, by the number of its agent.
    pub(super) responses: HashMap<u32, Gaps>,
    /// The seconds in which anything happened, by their place.
    pub(super) windows: BTreeMap<i64, Busiest>,
    /// The length of a window in seconds.
    pub(super) length: f64,
    /// The number of rows of lag.
    pub(super) lags: usize,
    pub(super) curves: Arc<Curves>,
}

/// The distributions of a run for a plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curves {
    pub(crate) gaps: Curve,
    /// Lag by the probe on a schedule.
    pub(crate) lags: Curve,
    /// Lag by the other probe.
    pub(crate) yields: Curve,
}

impl RunDigest {
    /// Whether a response of the run has a chunk.
    #[cfg(feature = "experiment")]
    pub(crate) fn has_chunk_of(&self, agent: u32) -> bool {
        self.responses.contains_key(&agent)
    }

    /// Whether there are rows of chunks, and of lag.
    #[cfg(feature = "experiment")]
    pub(crate) fn has_rows(&self) -> (bool, bool) {
        (self.chunks > 0, self.lags > 0)
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        self.windows.iter().map(|(place, stretch)| Window {
            run: self.run,
            start: *place as f64 * self.length,
            chunks_per_second: stretch.chunks as f64 / self.length,
            lag: stretch.lag,
        })
    }
}

/// The digests of a recording, by run.
pub(super) type Digests<'a> = BTreeMap<u32, Cow<'a, RunDigest>>;

/// Returns the windows of all runs, by run and time.
pub(super) fn windows(digests: &Digests<'_>) -> Vec<Window> {
    digests.values().flat_map(|digest| digest.windows()).collect()
}
