//! The settings that a reload changes, and those that need a restart.

use super::{
    Config,
    setting::{SETTINGS, Setting},
};
use crate::upstream::UpstreamConfig;

impl Setting {
    /// Whether a new value takes effect while the sidecar runs.
    fn reloads(&self) -> bool {
        matches!(self.section(), "access" | "shaping") || self.key == "log.level"
    }

    /// Whether the setting differs in a way that needs a restart. For TLS and for the token, only turning them on
    /// or off needs one.
    fn differs(&self, before: &Config, after: &Config) -> bool {
        let (before, after) = (self.field.show(before), self.field.show(after));
        if self.leaf() == "tls" || self.key == "admin.token_file" {
            before.is_some() != after.is_some()
        } else {
            before != after
        }
    }
}

/// The keys that differ and need a restart. `upstream` stands for all keys of `[[upstream]]`.
#[must_use]
pub(crate) fn fixed(before: &Config, after: &Config) -> Vec<&'static str> {
    let differs = |setting: &&Setting| setting.differs(before, after);
    let fixed = SETTINGS.iter().copied().filter(|setting| !setting.reloads()).filter(differs);
    let upstreams = without_certificates(before) != without_certificates(after);
    fixed.map(|setting| setting.key).chain(upstreams.then_some("upstream")).collect()
}

fn without_certificates(config: &Config) -> Vec<UpstreamConfig> {
    let upstreams = config.sidecar.upstream.upstreams.iter();
    upstreams.map(|one| UpstreamConfig { tls: None, ..one.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::Access,
        tls::{Identity, Trust},
        upstream::Policy,
    };

    #[test]
    fn reload_names_only_settings_that_need_a_restart() {
        let before = Config::default();
        let mut after = before.clone();
        after.log.level = tracing::Level::DEBUG;
        after.sidecar.shaping.pace = 60;
        after.sidecar.admission.routes = Access::of(["chat"]).unwrap();
        assert_eq!(fixed(&before, &after), [""; 0]);
        after.sidecar.proxy.listen.set_port(1);
        after.sidecar.upstream.choose = Policy::RoundRobin;
        after.sidecar.upstream.upstreams[0].weight = 2;
        assert_eq!(fixed(&before, &after), ["proxy.listen", "upstreams.choose", "upstream"]);
    }

    #[test]
    fn reload_applies_new_certificates_but_not_tls_on_or_off() {
        let folder = tempfile::TempDir::new().unwrap();
        let identity = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            let [cert, key] = ["cert", "key"].map(|part| folder.path().join(format!("{name}.{part}")));
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            Identity::read(cert, key).unwrap()
        };
        let mut before = Config::default();
        before.sidecar.proxy.tls = Some(identity("a"));
        let mut after = before.clone();
        after.sidecar.proxy.tls = Some(identity("b"));
        after.sidecar.upstream.upstreams[0].tls = Some(Trust::pinned(&identity("c")));
        assert_eq!(fixed(&before, &after), [""; 0]);
        after.sidecar.proxy.tls = None;
        after.sidecar.admin.tls = before.sidecar.proxy.tls.clone();
        assert_eq!(fixed(&before, &after), ["proxy.tls", "admin.tls"]);
    }

    #[test]
    fn reload_applies_new_admin_token_but_not_whether_one_is_required() {
        let with =
            |path: Option<&str>| Config { admin_token_file: path.map(str::to_owned), ..Config::default() };
        assert_eq!(fixed(&with(Some("old")), &with(Some("new"))), [""; 0]);
        assert_eq!(fixed(&with(None), &with(Some("new"))), ["admin.token_file"]);
        assert_eq!(fixed(&with(Some("old")), &with(None)), ["admin.token_file"]);
    }
}
