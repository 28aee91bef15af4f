//! The environment of a recording of live traffic.

use std::collections::BTreeMap;

use super::{
    machine::machine,
    recording::{Environment, FORMAT, LiveTraffic, Upstream},
};

impl Environment {
    /// Returns the environment of a recording of live traffic that begins now, on this machine.
    #[must_use]
    pub fn of_live_traffic(
        live: LiveTraffic,
        began_unix_s: f64,
        upstreams: BTreeMap<String, Upstream>,
    ) -> Environment {
        Environment {
            format: FORMAT,
            streamgauge: env!("CARGO_PKG_VERSION").into(),
            began_unix_s,
            live: Some(live),
            machine: machine(),
            upstreams,
            ..Environment::default()
        }
    }
}
