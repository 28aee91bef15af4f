//! SIGHUP reads the configuration again, and a change of `access.keys_file` reads that file again. Both apply the
//! settings that can change while streams run.

use tokio::{signal::unix::Signal, task};

use super::{SetLevel, keys_file::KeysWatch, systemd};
use crate::{
    admission::Key,
    config::{self, Config, Flags, Mistakes, Resolved},
    sidecar,
};

const REFUSED: &str = "the new configuration has mistakes; keeping the previous one";
const KEYS_REFUSED: &str = "access.keys_file has mistakes; keeping the previous keys";
/// Mistakes that the log lists. A broken file of keys can have thousands.
const LISTED: usize = 100;

/// Reads the configuration again.
pub(super) struct Reloader {
    pub(super) flags: Flags,
    /// The configuration at the start, whose values hold for all settings that need a restart.
    pub(super) begun: Config,
    /// The configuration in force, except for the settings that need a restart.
    pub(super) present: Resolved,
    pub(super) level: SetLevel,
    pub(super) sidecar: sidecar::Reload,
    /// The status that a service manager shows while the configuration is valid.
    pub(super) status: String,
    /// The mistakes of `access.keys_file` that were logged, if it has some.
    pub(super) wrong_keys: Option<Mistakes>,
}

impl Reloader {
    /// Reloads at each SIGHUP and at each change of the keys, and never ends.
    pub(super) async fn listen(mut self, mut hangups: Signal) {
        let mut watch = KeysWatch::default();
        loop {
            watch.follow(self.present.config.keys_file.as_deref());
            tokio::select! {
                hangup = hangups.recv() => match hangup {
                    Some(()) => self.reload().await,
                    None => std::future::pending().await,
                },
                () = watch.changed() => self.renew_keys().await,
            }
        }
    }

    async fn reload(&mut self) {
        systemd::reloading();
        let flags = self.flags.clone();
        // The file may be on a disk that hangs, and the thread that accepts connections must not wait for it.
        match task::spawn_blocking(move || config::load(&flags)).await {
            Ok(Ok(resolved)) => {
                self.apply(resolved);
                return systemd::ready(&self.status);
            }
            Ok(Err(mistakes)) => {
                self.sidecar.failed();
                log(&mistakes, REFUSED);
            }
            Err(error) => {
                self.sidecar.failed();
                tracing::error!(%error, "failed to read the configuration again");
            }
        }
        systemd::ready(&format!("{}; {REFUSED}", self.status));
    }

    fn apply(&mut self, resolved: Resolved) {
        let config = &resolved.config;
        let fixed = config::fixed(&self.begun, config);
        (self.level)(config.log.level);
        self.sidecar.apply(&config.sidecar);
        tracing::info!("configuration reloaded: keys, access, shaping, certificates and the log level");
        if !fixed.is_empty() {
            let settings = fixed.join(", ");
            tracing::warn!(settings, "some changed settings need a restart; keeping their previous values");
        }
        self.present = resolved;
        self.wrong_keys = None;
    }

    /// Reads `access.keys_file` again. Unchanged keys and mistakes are not logged again.
    async fn renew_keys(&mut self) {
        let present = self.present.clone();
        match task::spawn_blocking(move || config::renew_keys(&present)).await {
            Ok(Ok(resolved)) => {
                let (former, keys) = (self.keys(), &resolved.config.sidecar.admission.keys);
                if former != keys.as_slice() || self.wrong_keys.is_some() {
                    let [added, removed] = [new(former, keys), new(keys, former)];
                    self.sidecar.apply_keys(&resolved.config.sidecar.admission);
                    tracing::info!(keys = keys.len(), added, removed, "keys of access.keys_file reloaded");
                    self.present = resolved;
                    self.wrong_keys = None;
                }
            }
            Ok(Err(mistakes)) => {
                self.sidecar.keys_failed();
                if self.wrong_keys.as_ref() != Some(&mistakes) {
                    log(&mistakes, KEYS_REFUSED);
                    self.wrong_keys = Some(mistakes);
                }
            }
            Err(error) => {
                self.sidecar.keys_failed();
                tracing::error!(%error, "failed to read access.keys_file again");
            }
        }
    }

    /// The keys in force.
    fn keys(&self) -> &[Key] {
        &self.present.config.sidecar.admission.keys
    }
}

/// The number of names that `former` does not have.
fn new(former: &[Key], keys: &[Key]) -> usize {
    let former: std::collections::HashSet<_> = former.iter().map(|key| &key.name).collect();
    keys.iter().filter(|key| !former.contains(&key.name)).count()
}

/// Logs each mistake on one line, and then the effect.
fn log(mistakes: &Mistakes, effect: &str) {
    for mistake in mistakes.0.iter().take(LISTED) {
        let lines = mistake.to_string();
        let line: Vec<_> = lines.lines().map(str::trim).collect();
        tracing::error!("{}", line.join(": "));
    }
    let unlisted = mistakes.0.len().saturating_sub(LISTED);
    if unlisted > 0 {
        tracing::error!("{unlisted} more mistakes: `streamgauge check` lists all of them");
    }
    tracing::error!("{effect}");
}
