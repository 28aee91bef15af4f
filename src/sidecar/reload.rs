//! Settings that change while the sidecar runs.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Gauge, Registry};

use super::Config;
use crate::{
    admin::AskedToken,
    admission::Admission,
    metric::{Family, gauge},
    shaping::Shaping,
    tls::Acceptor,
    upstream::Upstreams,
};

/// Changes who is let in, how streams are handed on, and certificates, of a sidecar that runs. Cheap to clone.
///
/// Everything else is what it was when the sidecar was bound.
#[derive(Clone, Debug)]
pub struct Reload {
    stages: Reloaded,
    success: Arc<Gauge>,
    timestamp: Arc<Gauge>,
}

/// What takes new settings.
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
        let success = "1 if the settings could be read the last time they were, else 0.";
        let success = Family::register(registry, "config_last_reload_success", success, [], gauge)?;
        let timestamp = "When the settings that are in force were read, seconds since 1970.";
        let timestamp =
            Family::register(registry, "config_last_reload_timestamp_seconds", timestamp, [], gauge)?;
        let reload = Reload { stages, success: success.child([]), timestamp: timestamp.child([]) };
        reload.succeeded();
        Ok(reload)
    }

    /// Takes from these settings what can change, from now on: `admission`, `shaping`, the token of the admin address,
    /// and the certificates of `proxy.tls`, `admin.tls` and the upstreams. Streams and connections that run keep theirs;
    /// a limiter whose caller and quota are what they were keeps its state. An address that was plain stays so, and one
    /// by TLS too; where a token is asked for, one still is.
    pub fn apply(&self, config: &Config) {
        let Reloaded { admission, shaping, upstreams, proxy, admin, token } = &self.stages;
        let gone = admission.reload(&config.admission);
        shaping.reload(config.shaping.clone());
        shaping.forget(&gone);
        proxy.renew(config.proxy.tls.as_ref());
        admin.renew(config.admin.tls.as_ref());
        token.renew(config.admin.token);
        upstreams.reload(&config.upstream);
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
