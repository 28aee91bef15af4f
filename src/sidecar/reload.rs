//! Changes settings while the sidecar runs.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Gauge, Registry};

use super::Config;
use crate::{
    admin::AskedToken,
    admission::{self, Admission},
    metric::{Family, gauge},
    shaping::Shaping,
    tls::Acceptor,
    upstream::Upstreams,
};

/// Changes keys, access, shaping and certificates of a running sidecar. Cheap to clone.
///
/// All other settings keep their values since the sidecar was bound.
#[derive(Clone, Debug)]
pub struct Reload {
    stages: Reloaded,
    all: LastReading,
    keys: LastReading,
}

/// Whether the last attempt to read something succeeded, and when the last success was.
#[derive(Clone, Debug)]
struct LastReading {
    success: Arc<Gauge>,
    timestamp: Arc<Gauge>,
}

/// The parts that take new settings.
#[derive(Clone, Debug)]
pub(super) struct Reloaded {
    pub(super) admission: Arc<Admission>,
    pub(super) shaping: Arc<Shaping>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) proxy: Acceptor,
    pub(super) admin: Acceptor,
    pub(super) token: AskedToken,
}

impl Reload {
    pub(super) fn register(registry: &Registry, stages: Reloaded) -> prometheus::Result<Reload> {
        let success = "1 if the last attempt to read the settings succeeded, otherwise 0.";
        let success = Family::register(registry, "config_last_reload_success", success, [], gauge)?;
        let timestamp = "Time at which the present settings were read, in seconds since 1970.";
        let timestamp =
            Family::register(registry, "config_last_reload_timestamp_seconds", timestamp, [], gauge)?;
        let all = LastReading { success: success.child([]), timestamp: timestamp.child([]) };
        let success = "1 if the last attempt to read the keys succeeded, otherwise 0.";
        let success = Family::register(registry, "keys_last_reload_success", success, [], gauge)?;
        let timestamp = "Time at which the present keys were read, in seconds since 1970.";
        let timestamp =
            Family::register(registry, "keys_last_reload_timestamp_seconds", timestamp, [], gauge)?;
        let keys = LastReading { success: success.child([]), timestamp: timestamp.child([]) };
        let reload = Reload { stages, all, keys };
        reload.all.read(true);
        reload.keys.read(true);
        Ok(reload)
    }

    /// Applies the settings that can change: `admission`, `shaping`, the token of the admin address, and the
    /// certificates of `proxy.tls`, `admin.tls` and the upstreams. Running streams and open connections keep the
    /// previous ones. A caller whose quota is unchanged keeps the state of its limiter. TLS and the token cannot be
    /// turned on or off.
    pub fn apply(&self, config: &Config) {
        self.put(config);
        self.keys.read(true);
    }

    /// Applies the same while a source of keys has mistakes, so that a reader of the metrics never sees a success.
    #[cfg(feature = "cli")]
    pub(crate) fn apply_beside_mistakes(&self, config: &Config) {
        self.put(config);
        self.keys.read(false);
    }

    fn put(&self, config: &Config) {
        let Reloaded { admission, shaping, upstreams, proxy, admin, token } = &self.stages;
        let gone = admission.reload(&config.admission);
        shaping.reload(config.shaping.clone());
        shaping.forget(&gone);
        proxy.renew(config.proxy.tls.as_ref());
        admin.renew(config.admin.tls.as_ref());
        token.renew(config.admin.token);
        upstreams.reload(&config.upstream);
        self.all.read(true);
    }

    /// Applies new keys and no other settings. `config` has the other settings of admission in force.
    pub fn apply_keys(&self, config: &admission::Config) {
        self.put_keys(config);
        self.keys.read(true);
    }

    /// Applies the keys of one source while another one has mistakes.
    #[cfg(feature = "cli")]
    pub(crate) fn apply_keys_beside_mistakes(&self, config: &admission::Config) {
        self.put_keys(config);
        self.keys.read(false);
    }

    fn put_keys(&self, config: &admission::Config) {
        let gone = self.stages.admission.reload(config);
        self.stages.shaping.forget(&gone);
    }

    /// Notes that new settings could not be read, so that the previous ones stay.
    pub fn failed(&self) {
        self.all.success.set(0.0);
    }

    /// Notes that new keys could not be read, so that the previous ones stay.
    pub fn keys_failed(&self) {
        self.keys.success.set(0.0);
    }
}

impl LastReading {
    /// Notes that the present values were read now, and whether all of them were.
    fn read(&self, is_whole: bool) {
        self.success.set(f64::from(u8::from(is_whole)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.timestamp.set(now.as_secs_f64());
    }
}
