//! Why the store did not answer.

use std::{io, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why the store did not answer a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreFailure {
    /// No connection was tried yet.
    #[error("no connection was made yet")]
    Starting,
    /// The answer took too long.
    #[error("{server} did not answer within {} ms", limit.as_millis())]
    Late { server: String, limit: Duration },
    /// There is no connection.
    #[error("cannot connect to {server}: {why}")]
    Unreachable { server: String, why: String },
    /// The user or the password is wrong.
    #[error(
        "{server} refused the password: correct shared.password_file, shared.password_env or shared.username ({why})"
    )]
    Password { server: String, why: String },
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
    #[error("{server} refused the call: {why}")]
    Refused { server: String, why: String },
}

impl StoreFailure {
    /// The value of the label `reason`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            StoreFailure::Late { .. } => "timeout",
            StoreFailure::Starting | StoreFailure::Unreachable { .. } => "connection",
            StoreFailure::Foreign { .. } | StoreFailure::ForeignToAll { .. } => "foreign_key",
            StoreFailure::Password { .. }
            | StoreFailure::Database { .. }
            | StoreFailure::Protocol { .. }
            | StoreFailure::Refused { .. } => "refused",
        }
    }

    /// Whether the failure concerns one caller only.
    pub(super) const fn is_of_caller(&self) -> bool {
        matches!(self, StoreFailure::Foreign { .. })
    }

    pub(super) fn of_socket(server: &str, error: &io::Error) -> StoreFailure {
        StoreFailure::Unreachable { server: server.to_owned(), why: error.to_string() }
    }

    /// The same failure of a call that is not for one caller.
    pub(super) fn of_all(self) -> StoreFailure {
        match self {
            StoreFailure::Foreign { server } => StoreFailure::ForeignToAll { server },
            other => other,
        }
    }

    /// Translates an error of the client. Its texts contain no password.
    pub(super) fn of(server: &str, error: &RedisError) -> StoreFailure {
        let (server, why) = (server.to_owned(), error.to_string());
        let code = error.code().unwrap_or_default();
        if matches!(code, "FOREIGN" | "WRONGTYPE") {
            return StoreFailure::Foreign { server };
        }
        if matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM") {
            return StoreFailure::Password { server, why };
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => StoreFailure::Password { server, why },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => StoreFailure::Protocol { server, why },
            ErrorKind::Server(ServerErrorKind::ResponseError) if is_of_database(&why) => {
                StoreFailure::Database { server, why }
            }
            ErrorKind::Io => StoreFailure::Unreachable { server, why },
            _ if error.is_connection_dropped() => StoreFailure::Unreachable { server, why },
            _ => StoreFailure::Refused { server, why },
        }
    }
}

/// Whether the server refused to select the database. A node of a cluster has database 0 only.
fn is_of_database(why: &str) -> bool {
    why.contains("DB index") || why.contains("SELECT is not allowed")
}
