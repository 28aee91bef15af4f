//! Why the store did not answer.

#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::place::StorePlace;

/// Why the store did not answer a call. Each text says what happened, where, and what to do, in one line of a bounded
/// length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreFailure {
    /// No connection was tried yet.
    #[error("no connection was made yet")]
    Starting,
    /// The answer took too long.
    #[error("{server} did not answer within {} ms: {advice}", limit.as_millis())]
    Late { server: String, limit: Duration, advice: &'static str },
    /// There is no connection.
    #[error("cannot connect to {server}: {advice} ({why})")]
    Unreachable { server: String, why: String, advice: &'static str },
    /// The connection has ended.
    #[error(
        "{server} closed the connection: the sidecar connects again; if it cannot, see the log of the server"
    )]
    Closed { server: String },
    /// The user or the password is wrong.
    #[error(
        "{server} refused the password: correct shared.password_file, shared.password_env or shared.username ({why})"
    )]
    Password { server: String, why: String },
    /// The user may not do what the sidecar needs.
    #[error("{server} refused its user {user} {missing}: grant the rights by `{grant}`")]
    Rights { server: String, user: String, missing: String, grant: String },
    /// The database does not exist.
    #[error("{server} refused the database: correct shared.database ({why})")]
    Database { server: String, why: String },
    /// The server speaks another protocol.
    #[error("{server} does not speak the protocol of Redis: correct shared.url ({why})")]
    Protocol { server: String, why: String },
    /// A key of the caller holds a value of another program.
    #[error(
        "{server} holds a value of another program under a key of this caller: choose another shared.prefix"
    )]
    Foreign { server: String },
    /// A key that all callers share holds a value of another program.
    #[error(
        "{server} holds a value of another program under a key that all callers need: choose another shared.prefix"
    )]
    ForeignToAll { server: String },
    /// The server refused the call.
    #[error("{server} refused the call: {advice} ({why})")]
    Refused { server: String, why: String, advice: &'static str },
}

/// What to do about an answer of the server with this code.
const ADVICE: [(&str, &str); 8] = [
    ("OOM", "raise its maxmemory, or give the sidecars a server of their own"),
    ("READONLY", "it is a replica: set shared.url to its master, or promote it"),
    ("MOVED", "set shared.url to the masters of the cluster, in an array"),
    ("CLUSTERDOWN", "repair the cluster, some slots of which no master serves"),
    ("LOADING", "wait until it has loaded its data"),
    ("BUSY", "end the script that occupies it, by SCRIPT KILL"),
    ("MISCONF", "let it save its data, or turn persistence off"),
    ("DENIED", "it is in protected mode: give it a password, and set shared.password_file"),
];

impl StoreFailure {
    /// The value of the label `reason`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            StoreFailure::Late { .. } => "timeout",
            StoreFailure::Starting | StoreFailure::Unreachable { .. } | StoreFailure::Closed { .. } => {
                "connection"
            }
            StoreFailure::Foreign { .. } | StoreFailure::ForeignToAll { .. } => "foreign_key",
            StoreFailure::Password { .. }
            | StoreFailure::Rights { .. }
            | StoreFailure::Database { .. }
            | StoreFailure::Protocol { .. }
            | StoreFailure::Refused { .. } => "refused",
        }
    }

    /// Whether the failure concerns one caller only.
    pub(super) const fn is_of_caller(&self) -> bool {
        matches!(self, StoreFailure::Foreign { .. })
    }

    /// The same failure of a call that is not for one caller.
    pub(super) fn of_all(self) -> StoreFailure {
        match self {
            StoreFailure::Foreign { server } => StoreFailure::ForeignToAll { server },
            other => other,
        }
    }

    /// No connection was possible.
    pub(super) fn of_socket(place: &StorePlace, error: &io::Error) -> StoreFailure {
        let advice = "start the server, or correct shared.url";
        StoreFailure::Unreachable { server: place.server(), why: place.said(&error.to_string()), advice }
    }

    /// The TLS handshake failed.
    pub(super) fn of_handshake(place: &StorePlace, error: &io::Error) -> StoreFailure {
        let why = place.said(&error.to_string());
        let advice = if why.contains("certificate") {
            "correct shared.ca_file, the host in shared.url, or the certificate of the server"
        } else {
            NO_TLS
        };
        StoreFailure::Unreachable { server: place.server(), why, advice }
    }

    /// The first commands on a connection failed.
    pub(super) fn of_start(place: &StorePlace, error: &RedisError) -> StoreFailure {
        match StoreFailure::of(place, error) {
            StoreFailure::Closed { server } => {
                let why = format!("it closed the connection: {}", place.said(&error.to_string()));
                StoreFailure::Unreachable { server, why, advice: place.advice_if_closed() }
            }
            other => other,
        }
    }

    /// The user lacks these rights: names of commands, `~` for the keys, `&` for the channels.
    pub(super) fn lacking(place: &StorePlace, missing: &[String]) -> StoreFailure {
        let prefix = place.prefix();
        let named = |right: &String| match right.as_str() {
            "" => "a command".to_owned(),
            "~" => format!("the keys {prefix}*"),
            "&" => format!("the channels {prefix}*"),
            command => command.to_uppercase(),
        };
        // A server refuses a pattern for a user who may use all keys.
        let patterns = ["~", "&"].into_iter().filter(|kind| missing.iter().any(|right| right == kind));
        let patterns: String = patterns.map(|kind| format!(" {kind}{prefix}*")).collect();
        StoreFailure::Rights {
            server: place.server(),
            user: place.user().to_owned(),
            grant: place.grant(&patterns),
            missing: missing.iter().map(named).collect::<Vec<_>>().join(", "),
        }
    }

    /// Translates an error of the client. No text contains the password.
    pub(super) fn of(place: &StorePlace, error: &RedisError) -> StoreFailure {
        let (server, why) = (place.server(), place.said(&error.to_string()));
        let code = error.code().unwrap_or_default();
        if is_of_rights(error) {
            return StoreFailure::lacking(place, &[missing(&why)]);
        }
        if matches!(code, "FOREIGN" | "WRONGTYPE") {
            return StoreFailure::Foreign { server };
        }
        if matches!(code, "NOAUTH" | "WRONGPASS") {
            return StoreFailure::Password { server, why };
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => StoreFailure::Password { server, why },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => StoreFailure::Protocol { server, why },
            ErrorKind::Server(ServerErrorKind::ResponseError) if is_of_database(&why) => {
                StoreFailure::Database { server, why }
            }
            ErrorKind::Io => StoreFailure::Closed { server },
            _ if error.is_connection_dropped() => StoreFailure::Closed { server },
            _ => {
                let found = ADVICE.iter().find(|(known, _)| *known == code);
                let advice = found.map_or("see the log of the server", |(_, advice)| advice);
                StoreFailure::Refused { server, why, advice }
            }
        }
    }
}

/// What to do if a server does not answer in TLS.
pub(super) const NO_TLS: &str = "write redis:// in shared.url if the server has no TLS on this port";

/// Whether the user lacks a right. Before Redis 7.2, the errors of scripts have no code of their own.
pub(super) fn is_of_rights(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
        || error.detail().is_some_and(|said| {
            said.contains("user executing the script can't") || said.contains("no permissions to ")
        })
}

/// What an error of a missing right is about: a command, or the keys or the channels.
fn missing(said: &str) -> String {
    if !said.contains("permissions to run") && !said.contains("can't run") {
        return if said.contains("channel") { "&" } else { "~" }.to_owned();
    }
    let quoted =
        said.split('\'').nth(1).filter(|word| word.chars().all(|c| c.is_ascii_alphabetic() || c == '|'));
    quoted.unwrap_or_default().to_lowercase()
}

/// Whether the server refused to select the database. A node of a cluster has database 0 only.
fn is_of_database(why: &str) -> bool {
    why.contains("DB index") || why.contains("SELECT is not allowed")
}
