//! SIGHUP: reads the configuration again and applies the settings that can change while streams run.

use tokio::{signal::unix::Signal, task};

use super::{SetLevel, systemd};
use crate::{
    config::{self, Config, Flags, Mistakes},
    sidecar,
};

const REFUSED: &str = "the new configuration has mistakes; keeping the previous one";

/// Reads the configuration again.
pub(super) struct Reloader {
    pub(super) flags: Flags,
    /// The configuration at the start, whose values hold for all settings that need a restart.
    pub(super) begun: Config,
    pub(super) level: SetLevel,
    pub(super) sidecar: sidecar::Reload,
    /// The status that a service manager shows while the configuration is valid.
    pub(super) status: String,
}

impl Reloader {
    /// Reloads at each SIGHUP and never ends.
    pub(super) async fn listen(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            systemd::reloading();
            let flags = self.flags.clone();
            // The file may be on a disk that hangs, and the thread that accepts connections must not wait for it.
            match task::spawn_blocking(move || config::load(&flags)).await {
                Ok(Ok(resolved)) => {
                    self.apply(resolved.config);
                    systemd::ready(&self.status);
                    continue;
                }
                Ok(Err(mistakes)) => self.refuse(&mistakes),
                Err(error) => {
                    self.sidecar.failed();
                    tracing::error!(%error, "failed to read the configuration again");
                }
            }
            systemd::ready(&format!("{}; {REFUSED}", self.status));
        }
        std::future::pending().await
    }

    fn apply(&self, config: Config) {
        let fixed = config::fixed(&self.begun, &config);
        (self.level)(config.log.level);
        self.sidecar.apply(&config.sidecar);
        tracing::info!("configuration reloaded: keys, access, shaping, certificates and the log level");
        if !fixed.is_empty() {
            let settings = fixed.join(", ");
            tracing::warn!(settings, "some changed settings need a restart; keeping their previous values");
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
