//! Settings that change while the agent runs.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Gauge, Registry};

use crate::{
    admission::{self, Admission},
    metric::{Family, gauge},
    shaping::{self, Shaping},
};

/// Changes who is let in and how streams are handed on, of an agent that runs. Cheap to clone.
///
/// Everything else is what it was when the agent was bound.
#[derive(Clone, Debug)]
pub struct Reload {
    admission: Arc<Admission>,
    shaping: Arc<Shaping>,
    success: Arc<Gauge>,
    timestamp: Arc<Gauge>,
}

impl Reload {
    pub(super) fn register(
        registry: &Registry,
        admission: Arc<Admission>,
        shaping: Arc<Shaping>,
    ) -> prometheus::Result<Reload> {
        let success = "1 if the settings could be read the last time they were, else 0.";
        let success = Family::register(registry, "config_last_reload_success", success, [], gauge)?;
        let timestamp = "When the settings that are in force were read, seconds since 1970.";
        let timestamp =
            Family::register(registry, "config_last_reload_timestamp_seconds", timestamp, [], gauge)?;
        let reload =
            Reload { admission, shaping, success: success.child([]), timestamp: timestamp.child([]) };
        reload.succeeded();
        Ok(reload)
    }

    /// Admits and shapes by these settings from now on. Streams that run keep theirs; a limiter whose caller and
    /// quota are what they were keeps its state.
    pub fn apply(&self, admission: &admission::Config, shaping: shaping::Config) {
        let gone = self.admission.reload(admission);
        self.shaping.reload(shaping);
        self.shaping.forget(&gone);
        self.succeeded();
    }

    /// Notes that new settings could not be read, so that the old ones stay in force.
    pub fn failed(&self) {
        self.success.set(0.0);
    }

    fn succeeded(&self) {
        self.success.set(1.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.timestamp.set(now.as_secs_f64());
    }
}
