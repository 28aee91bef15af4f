//! SIGHUP: the configuration is read again, and what can change while streams run does.

use tokio::{signal::unix::Signal, task};

use super::{SetLevel, systemd};
use crate::{
    config::{self, Config, Flags, Mistakes},
    sidecar,
};

const REFUSED: &str = "the new configuration has mistakes: the old one stays in force";

/// Reads the configuration again.
pub(super) struct Reloader {
    pub(super) flags: Flags,
    /// What is in force for all that needs a restart to change.
    pub(super) begun: Config,
    pub(super) level: SetLevel,
    pub(super) sidecar: sidecar::Reload,
    /// What a service manager shows while all is well.
    pub(super) status: String,
}

impl Reloader {
    /// At each hang-up, for ever.
    pub(super) async fn listen(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            systemd::reloading();
            let flags = self.flags.clone();
            // A file may be on a disk that hangs; whoever accepts connections must not.
            match task::spawn_blocking(move || config::load(&flags)).await {
                Ok(Ok(resolved)) => {
                    self.apply(resolved.config);
                    systemd::ready(&self.status);
                    continue;
                }
                Ok(Err(mistakes)) => self.refuse(&mistakes),
                Err(error) => tracing::error!(%error, "cannot read the configuration again"),
            }
            systemd::ready(&format!("{}; {REFUSED}", self.status));
        }
        std::future::pending().await
    }

    fn apply(&self, config: Config) {
        let fixed = config::fixed(&self.begun, &config);
        (self.level)(config.log.level);
        self.sidecar.apply(&config.sidecar);
        tracing::info!(
            "the configuration was read again: keys, access, shaping, certificates and the log's level are as it says"
        );
        if !fixed.is_empty() {
            let settings = fixed.join(", ");
            tracing::warn!(settings, "these need a restart to change: their old values stay in force");
        }
    }

    fn refuse(&self, mistakes: &Mistakes) {
        self.sidecar.failed();
        for mistake in &mistakes.0 {
            let lines = mistake.to_string();
            let line: Vec<_> = lines.lines().map(str::trim).collect();
            tracing::error!("{}", line.join(": "));
        }
        tracing::error!("{REFUSED}");
    }
}
