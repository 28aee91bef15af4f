//! The callers that a trusted key names in a header field, one for each user of a program such as Open WebUI.
//!
//! A program can name any number of users, so the number that is remembered is bounded, and so is the number of labels.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use super::permit::Caller;

/// Which header field names the caller, and whose requests may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerHeader {
    /// The header field, for example `x-openwebui-user-id`.
    pub name: HeaderName,
    /// The names of the keys that are trusted. The field of any other request is ignored.
    pub keys: Vec<String>,
}

/// Users that are remembered with the state of their limits. When another one comes, the least recently used of those
/// without a label and without a running request is forgotten.
const MAX_USERS: usize = 1024;
/// Users with a label of their own. The others have the label of their key.
pub(super) const MAX_LABELLED: usize = 64;
/// The time after which a user that sends no request may lose its label to another one.
const IDLE: Duration = Duration::from_secs(3600);
/// The maximum length of a user's name, bytes.
const MAX_NAME: usize = 63;

/// The remembered users, by the name of their caller.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: HashMap<String, User>,
}

#[derive(Debug)]
struct User {
    caller: Arc<Caller>,
    used: Instant,
    is_labelled: bool,
}

/// A user's caller, and the labels that have changed.
#[derive(Debug)]
pub(super) struct FoundUser {
    pub(super) caller: Arc<Caller>,
    /// The caller has got a label of its own.
    pub(super) is_new: bool,
    /// This label is free now.
    pub(super) gone: Option<String>,
}

impl CallerHeader {
    /// The user that the header fields name. `None`: they name none, name several, or the value is not a valid name:
    /// 1 to 63 letters, digits, and `.` `_` `-` `@` `+`. Such a value is never kept.
    pub(super) fn user<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let mut values = headers.get_all(&self.name).into_iter();
        let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
        let is_name = (1..=MAX_NAME).contains(&value.len()) && value.chars().all(fits);
        is_name.then_some(value)
    }
}

impl Users {
    /// The caller of a user. `None`: too many users have running requests, so that the request belongs to its key.
    pub(super) fn find(&mut self, key: &Arc<Caller>, user: &str) -> Option<FoundUser> {
        if key.is_gone() {
            return None;
        }
        let name = format!("{}/{user}", key.name());
        let now = Instant::now();
        if let Some(user) = self.known.get_mut(&name).filter(|user| user.is_labelled) {
            user.used = now;
            user.follow(key);
            return Some(FoundUser { caller: user.caller.clone(), is_new: false, gone: None });
        }
        let mut gone = None;
        if !self.known.contains_key(&name) {
            if self.known.len() >= MAX_USERS {
                self.forget_one()?;
            }
            let caller = Arc::new(Caller::of_user(key, &name, None));
            // It has no label yet.
            caller.leave();
            let user = User { caller, used: now, is_labelled: false };
            self.known.insert(name.clone(), user);
        }
        let has_room = self.known.values().filter(|user| user.is_labelled).count() < MAX_LABELLED;
        let is_new = has_room || {
            gone = self.take_label(now);
            gone.is_some()
        };
        let user = self.known.get_mut(&name)?;
        user.used = now;
        user.follow(key);
        if is_new {
            user.is_labelled = true;
            user.caller.come_back();
        }
        Some(FoundUser { caller: user.caller.clone(), is_new, gone })
    }

    /// Keeps only the users whose key stays. Returns the labels that are free now.
    pub(super) fn retain(&mut self, stays: impl Fn(&Caller) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        self.known.retain(|name, user| {
            let keeps = user.caller.key().is_some_and(|key| stays(key));
            if !keeps {
                user.caller.leave();
                gone.extend(user.is_labelled.then(|| name.clone()));
            }
            keeps
        });
        gone
    }

    /// The labels of all users.
    #[cfg(test)]
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|(_, user)| user.is_labelled).map(|(name, _)| name.as_str())
    }

    /// Forgets the least recently used of the users that have no label and no running request. `None`: there is none.
    fn forget_one(&mut self) -> Option<()> {
        let idle =
            self.known.iter().filter(|(_, user)| !user.is_labelled && Arc::strong_count(&user.caller) == 1);
        let name = idle.min_by_key(|(_, user)| user.used).map(|(name, _)| name.clone())?;
        self.known.remove(&name).map(drop)
    }

    /// Takes the label of the least recently used user, if that user has been idle for long enough.
    fn take_label(&mut self, now: Instant) -> Option<String> {
        let labelled = self.known.iter_mut().filter(|(_, user)| user.is_labelled);
        let idle = labelled.filter(|(_, user)| {
            now.duration_since(user.used) >= IDLE && Arc::strong_count(&user.caller) == 1
        });
        let (name, user) = idle.min_by_key(|(_, user)| user.used)?;
        user.is_labelled = false;
        user.caller.leave();
        Some(name.clone())
    }
}

impl User {
    /// Takes over the settings of its key, if a reload has changed them. The state of unchanged limits stays.
    fn follow(&mut self, key: &Arc<Caller>) {
        if !self.caller.key().is_some_and(|before| Arc::ptr_eq(before, key)) {
            let caller = Caller::of_user(key, self.caller.name(), Some(&self.caller));
            if !self.is_labelled {
                caller.leave();
            }
            self.caller = Arc::new(caller);
        }
    }
}
