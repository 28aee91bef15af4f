//! The store as texts name it: without its password, and what its user has to be allowed.

use super::config::{Config, Secret, Server};

/// The commands that the sidecar needs, as an ACL grants them.
pub(super) const COMMANDS: &str = "+evalsha +eval +script|load +subscribe +time +get +set +getrange +hget +hmget +hgetall +hset +hdel +zadd +zremrangebyscore +zcard +pttl +pexpire +publish";
/// The longest text of a server or of the system that a message repeats, in bytes.
const LONGEST: usize = 200;

/// A server, and the settings that the texts about it need.
#[derive(Clone, Debug)]
pub(super) struct StorePlace {
    server: String,
    has_tls: bool,
    user: String,
    /// The first part of every key and channel.
    prefix: String,
    selects: bool,
    password: Option<Secret>,
}

impl StorePlace {
    pub(super) fn new(server: &Server, config: &Config) -> StorePlace {
        StorePlace {
            server: server.to_string(),
            has_tls: matches!(server, Server::Tcp { trust: Some(_), .. }),
            user: config.username.clone().unwrap_or_else(|| "default".to_owned()),
            prefix: format!("{{{}}}:", config.prefix),
            selects: config.database != 0,
            password: config.password.clone(),
        }
    }

    /// Its URL, without user and password.
    pub(super) fn server(&self) -> String {
        self.server.clone()
    }

    /// A text of the server or of the system, in one line of a bounded length. A server that is no Redis may repeat the
    /// password that it got.
    pub(super) fn said(&self, text: &str) -> String {
        let text = match &self.password {
            Some(password) => text.replace(password.text(), "***"),
            None => text.to_owned(),
        };
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
            line.push('…');
        }
        if line.is_empty() { "it gave no reason".to_owned() } else { line }
    }

    /// What to do if the server closes a connection at its beginning.
    pub(super) const fn advice_if_closed(&self) -> &'static str {
        if self.has_tls {
            "the sidecar has no certificate of its own: set tls-auth-clients no at the server if it asks for one"
        } else {
            "write rediss:// in shared.url if the server has TLS on this port"
        }
    }

    /// The user of the store.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The first part of every key and channel.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The command that grants the commands that the sidecar needs, and further rights.
    pub(super) fn grant(&self, further: &str) -> String {
        let select = if self.selects { " +select" } else { "" };
        format!("ACL SETUSER {}{further} {COMMANDS}{select}", self.user)
    }
}
