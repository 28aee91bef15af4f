//! SIGHUP reads the configuration again, and a change of the keys in `access.keys_file` or in the store reads those
//! again. All of them apply the settings that can change while streams run.

use tokio::{signal::unix::Signal, task};

use super::{SetLevel, keys_file::KeysWatch, systemd};
use crate::{
    admission::Key,
    config::{self, Config, Flags, Mistakes, Resolved},
    sidecar::{self, StoredKeys, StoredText},
};

const REFUSED: &str = "the new configuration has mistakes; keeping the previous one";
const KEYS_REFUSED: &str = "access.keys_file has mistakes; keeping the previous keys";
const STORED_KEYS_REFUSED: &str = "the keys of the store have mistakes; keeping the previous keys";
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
    /// The mistakes of the keys of the store that were logged, if they have some.
    pub(super) wrong_stored_keys: Option<Mistakes>,
    /// The text of the store, if the sidecar has one.
    pub(super) stored: Option<StoredKeys>,
}

impl Reloader {
    /// Reloads at each SIGHUP and at each change of the keys, and never ends.
    pub(super) async fn listen(mut self, mut hangups: Signal) {
        let mut watch = KeysWatch::default();
        let mut stored = self.stored.take();
        loop {
            watch.follow(self.present.config.keys_file.as_deref());
            if let Some(stored) = &stored {
                stored.follow(self.present.config.keys_store);
                if !self.present.config.keys_store {
                    self.wrong_stored_keys = None;
                }
            }
            self.judge();
            let is_applied = tokio::select! {
                hangup = hangups.recv() => match hangup {
                    Some(()) => self.reload().await,
                    None => std::future::pending().await,
                },
                () = watch.changed() => self.renew_keys().await,
                (stored, text) = changed(&mut stored) => self.renew_stored_keys(stored, text).await,
            };
            // What contradicted the previous settings may fit now.
            if is_applied
                && self.wrong_stored_keys.is_some()
                && let Some((stored, text)) =
                    stored.as_ref().and_then(|stored| Some((stored, stored.latest()?)))
            {
                self.renew_stored_keys(stored, text).await;
            }
            if is_applied && self.wrong_keys.is_some() {
                self.renew_keys().await;
            }
        }
    }

    /// Notes that a source of keys has mistakes, or that the keys of the store were not read yet, whatever else succeeded.
    fn judge(&self) {
        if self.lacks_keys(&self.present) {
            self.sidecar.keys_failed();
        }
    }

    /// Whether keys are missing from this configuration, because their source has mistakes or was not read yet.
    fn lacks_keys(&self, resolved: &Resolved) -> bool {
        let lacks_stored = self.wrong_stored_keys.is_some() || !resolved.has_stored_keys();
        self.wrong_keys.is_some() || (resolved.config.keys_store && lacks_stored)
    }

    /// Returns whether the new configuration is in force.
    async fn reload(&mut self) -> bool {
        systemd::reloading();
        let (flags, present) = (self.flags.clone(), self.present.clone());
        // The file may be on a disk that hangs, and the thread that accepts connections must not wait for it.
        match task::spawn_blocking(move || config::load_again(&flags, &present)).await {
            Ok(Ok(resolved)) => {
                self.apply(resolved);
                systemd::ready(&self.status);
                return true;
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
        false
    }

    fn apply(&mut self, resolved: Resolved) {
        let config = &resolved.config;
        let fixed = config::fixed(&self.begun, config);
        (self.level)(config.log.level);
        // The configuration has the keys of the file.
        self.wrong_keys = None;
        if self.lacks_keys(&resolved) {
            self.sidecar.apply_beside_mistakes(&config.sidecar);
        } else {
            self.sidecar.apply(&config.sidecar);
        }
        tracing::info!("configuration reloaded: keys, access, shaping, certificates and the log level");
        if !fixed.is_empty() {
            let settings = fixed.join(", ");
            tracing::warn!(settings, "some changed settings need a restart; keeping their previous values");
        }
        self.present = resolved;
    }

    /// Reads `access.keys_file` again. Unchanged keys and mistakes are not logged again. Returns whether new keys are in
    /// force.
    async fn renew_keys(&mut self) -> bool {
        let present = self.present.clone();
        match task::spawn_blocking(move || config::renew_keys(&present)).await {
            Ok(Ok(resolved)) => {
                let is_news = self.wrong_keys.take().is_some();
                self.apply_keys(resolved, is_news, |keys, [added, removed]| {
                    tracing::info!(keys, added, removed, "keys of access.keys_file reloaded");
                })
            }
            Ok(Err(mistakes)) => {
                if self.wrong_keys.as_ref() != Some(&mistakes) {
                    self.sidecar.keys_failed();
                    log(&mistakes, KEYS_REFUSED);
                    self.wrong_keys = Some(mistakes);
                }
                false
            }
            Err(error) => {
                self.sidecar.keys_failed();
                tracing::error!(%error, "failed to read access.keys_file again");
                false
            }
        }
    }

    /// Reads the keys of the store. Unchanged keys and mistakes are not logged again. Returns whether new keys are in
    /// force.
    async fn renew_stored_keys(&mut self, stored: &StoredKeys, text: StoredText) -> bool {
        let (present, name) = (self.present.clone(), stored.name().to_owned());
        let renewed = task::spawn_blocking(move || match text {
            StoredText::Text(text) => config::renew_stored_keys(&present, &name, &text),
            StoredText::Unusable(what, advice) => Err(config::no_stored_keys(&name, what, advice)),
        });
        match renewed.await {
            Ok(Ok(resolved)) => {
                let is_first = !self.present.has_stored_keys();
                let is_news = self.wrong_stored_keys.take().is_some() || is_first;
                let is_applied = self.apply_keys(resolved, is_news, |keys, [added, removed]| {
                    tracing::info!(keys, added, removed, "keys of the store reloaded");
                });
                stored.take_force();
                is_applied
            }
            Ok(Err(mistakes)) => {
                if self.wrong_stored_keys.as_ref() != Some(&mistakes) {
                    self.sidecar.keys_failed();
                    log(&mistakes, STORED_KEYS_REFUSED);
                    self.wrong_stored_keys = Some(mistakes);
                }
                false
            }
            Err(error) => {
                self.sidecar.keys_failed();
                tracing::error!(%error, "failed to read the keys of the store");
                false
            }
        }
    }

    /// Applies keys that differ from those in force, or that are news. Tells how many there are now, how many were added
    /// and how many were removed.
    fn apply_keys(
        &mut self,
        resolved: Resolved,
        is_news: bool,
        tell: impl FnOnce(usize, [usize; 2]),
    ) -> bool {
        let (former, keys) = (self.keys(), &resolved.config.sidecar.admission.keys);
        let is_applied = is_news || former != keys.as_slice();
        if is_applied {
            let changes = [new(former, keys), new(keys, former)];
            let admission = &resolved.config.sidecar.admission;
            if self.lacks_keys(&resolved) {
                self.sidecar.apply_keys_beside_mistakes(admission);
            } else {
                self.sidecar.apply_keys(admission);
            }
            tell(keys.len(), changes);
            self.present = resolved;
        }
        is_applied
    }

    /// The keys in force.
    fn keys(&self) -> &[Key] {
        &self.present.config.sidecar.admission.keys
    }
}

/// Waits for another text of the store, if there is one.
async fn changed(stored: &mut Option<StoredKeys>) -> (&StoredKeys, StoredText) {
    match stored {
        Some(stored) => {
            let text = stored.changed().await;
            (stored, text)
        }
        None => std::future::pending().await,
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
