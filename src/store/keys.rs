//! The text with keys of callers that the store may hold. Its reader is another module: here it is only bytes.
//!
//! The text is read when it is announced, and every few seconds, over a connection of its own, so that a long text
//! delays no admission.

#[cfg(feature = "cli")]
mod reader;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{
    chance,
    config::{Config, Server},
    failure::StoreFailure,
    link::TextLink,
};

#[cfg(feature = "cli")]
pub(crate) use reader::StoredKeys;

/// The longest text, in bytes. 10,000 keys need about 1 MB.
pub(super) const LONGEST: usize = 4 << 20;
/// The shortest and the longest time between two readings without an announcement, in seconds.
const EVERY: (f64, f64) = (7.5, 12.5);
/// The time between an announcement and the reading. Announcements that arrive meanwhile cause no other one.
const PAUSE: Duration = Duration::from_millis(50);
/// The time between two trials to connect.
const TRIAL: Duration = Duration::from_millis(250);
/// The longest wait for the text.
const PATIENCE: Duration = Duration::from_secs(5);

/// The value under the key of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredText {
    /// A text.
    Text(Arc<str>),
    /// Why there is none, and what to do.
    Unusable(&'static str, String),
}

/// The last text that was read, which outlives the store.
#[derive(Debug)]
pub(super) struct KeysSlot {
    /// The key of the text, and the channel on which its changes are announced.
    pub(super) name: String,
    /// Notified when a change was announced.
    pub(super) hint: Notify,
    is_followed: watch::Sender<bool>,
    last: watch::Sender<Option<StoredText>>,
    /// Keys of a text are in force.
    is_in_force: AtomicBool,
}

impl KeysSlot {
    pub(super) fn new(name: String) -> KeysSlot {
        KeysSlot {
            name,
            hint: Notify::new(),
            is_followed: watch::Sender::new(false),
            last: watch::Sender::new(None),
            is_in_force: AtomicBool::new(false),
        }
    }

    /// Whether keys are expected from the store, and none of it were ever in force.
    pub(super) fn is_missing(&self) -> bool {
        *self.is_followed.borrow() && !self.is_in_force.load(Relaxed)
    }

    /// Why no keys of the text are in force, although the store answers.
    pub(super) fn told(&self) -> String {
        match &*self.last.borrow() {
            None => "their text was not read yet".to_owned(),
            Some(StoredText::Text(_)) => {
                format!("their text ({}) has mistakes: correct what the log names", self.name)
            }
            Some(StoredText::Unusable(what, advice)) => format!("{what} ({}): {advice}", self.name),
        }
    }

    /// Reads the text from this server for ever, while it is followed.
    pub(super) async fn follow(&self, server: &Server, config: &Config) {
        let mut followed = self.is_followed.subscribe();
        loop {
            let _ = followed.wait_for(|followed| *followed).await;
            if let Ok(link) = TextLink::connect(server, config).await {
                tokio::select! {
                    () = self.read_again(&link) => {}
                    _ = followed.wait_for(|followed| !followed) => continue,
                }
            }
            sleep(TRIAL).await;
        }
    }

    /// Reads until the connection fails.
    async fn read_again(&self, link: &TextLink) {
        while let Some(text) = self.read(link).await {
            self.last.send_if_modified(|last| {
                let is_new = last.as_ref() != Some(&text);
                *last = Some(text);
                is_new
            });
            let (least, most) = EVERY;
            let every = Duration::from_secs_f64(chance::between(least, most));
            if timeout(every, self.hint.notified()).await.is_ok() {
                sleep(PAUSE).await;
            }
        }
    }

    /// Reads once. `None` if the store does not answer, so that the last text stays.
    async fn read(&self, link: &TextLink) -> Option<StoredText> {
        let unusable = |what, advice: &str| Some(StoredText::Unusable(what, advice.to_owned()));
        let write = format!("write it with `redis-cli -x SET '{}' < keys.toml`", self.name);
        match timeout(PATIENCE, link.text(&self.name, LONGEST)).await.ok()? {
            Ok(bytes) if bytes.is_empty() => unusable("the store has no text under this key", &write),
            Ok(bytes) if bytes.len() > LONGEST => {
                unusable("the text is longer than 4 MiB", "write fewer keys, or fewer comments")
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Some(StoredText::Text(text.into())),
                Err(_) => unusable("the text is not UTF-8", &write),
            },
            Err(StoreFailure::Foreign { .. }) => {
                let advice = "remove the key, or choose another shared.prefix";
                unusable("the key holds a value that is no text", advice)
            }
            Err(StoreFailure::Rights { grant, .. }) => {
                let advice = format!("allow it by `{grant}`");
                Some(StoredText::Unusable("the user of the store may not read the key", advice))
            }
            Err(_) => None,
        }
    }
}
