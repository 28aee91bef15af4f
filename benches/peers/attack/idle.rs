//! Connections that send nothing.

use std::time::Duration;

use super::{affordable, trial::Trial, wave::Wave};
use crate::peer::Limits;

const WANTED: usize = 10_000;
/// The defaults of `proxy.max_connections`, `proxy.header_timeout` and `proxy.body_idle_timeout`.
const CONNECTIONS: usize = 4096;
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(60);

/// All connections are allowed.
pub(super) fn trial() -> Trial {
    let (connections, said) = affordable(WANTED);
    Trial {
        title: format!("{said} idle connections, all let in"),
        limits: Limits { head: BODY, body: BODY, connections: connections + 80 },
        wave: silent(connections, Duration::from_secs(8)),
        may_turn_away: false,
    }
}

/// More connections than are allowed.
pub(super) fn more_than_allowed() -> Trial {
    let (connections, said) = affordable(WANTED);
    Trial {
        title: format!("{said} idle connections, {CONNECTIONS} allowed (nginx: a worker)"),
        limits: Limits { head: HEAD, body: BODY, connections: CONNECTIONS },
        wave: silent(connections, HEAD + Duration::from_secs(4)),
        may_turn_away: true,
    }
}

fn silent(connections: usize, lasts: Duration) -> Wave {
    Wave { connections, opening: String::new(), drip: "", reads: true, lasts }
}
