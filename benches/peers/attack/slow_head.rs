//! Heads that arrive at one byte per second and never end.

use std::time::Duration;

use super::{affordable, trial::Trial, wave::Wave};
use crate::peer::Limits;

const HEAD: Duration = Duration::from_secs(5);

pub(super) fn trial() -> Trial {
    let (connections, said) = affordable(5000);
    Trial {
        title: format!("{said} heads of a byte a second; {} s allowed", HEAD.as_secs()),
        limits: Limits { head: HEAD, body: Duration::from_secs(60), connections: connections + 80 },
        wave: Wave {
            connections,
            opening: "GET /api/version HTTP/1.1\r\nHost: attacked\r\nX-Long: ".to_owned(),
            drip: "aaaaaaaaaaaaaaaaaaaa",
            reads: true,
            lasts: HEAD + Duration::from_secs(5),
        },
        may_turn_away: false,
    }
}
