//! What a reload changes, and what needs a restart.

use super::{
    Config,
    setting::{SETTINGS, Setting},
};

impl Setting {
    /// A new value takes effect while the sidecar runs.
    fn reloads(&self) -> bool {
        matches!(self.section(), "access" | "shaping") || self.key == "log.level"
    }
}

/// The keys that differ and need a restart, `upstream` for a table of those.
#[must_use]
pub fn fixed(before: &Config, after: &Config) -> Vec<&'static str> {
    let differs = |setting: &&Setting| setting.field.show(before) != setting.field.show(after);
    let fixed = SETTINGS.iter().filter(|setting| !setting.reloads()).filter(differs);
    let upstreams = before.agent.upstream.upstreams != after.agent.upstream.upstreams;
    fixed.map(|setting| setting.key).chain(upstreams.then_some("upstream")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::Access, upstream::Policy};

    #[test]
    fn what_needs_a_restart_is_named_and_what_reloads_is_not() {
        let before = Config::default();
        let mut after = before.clone();
        after.log.level = tracing::Level::DEBUG;
        after.agent.shaping.pace = 60;
        after.agent.admission.routes = Access::of(["chat"]).unwrap();
        assert_eq!(fixed(&before, &after), [""; 0]);
        after.agent.proxy.listen.set_port(1);
        after.agent.upstream.choose = Policy::RoundRobin;
        after.agent.upstream.upstreams[0].weight = 2;
        assert_eq!(fixed(&before, &after), ["proxy.listen", "upstreams.choose", "upstream"]);
    }
}
