//! Clients that never read a response that never ends.

use std::time::Duration;

use super::{trial::Trial, upstream, wave::Wave};
use crate::peer::Limits;

const CLIENTS: usize = 100;

pub(super) fn trial() -> Trial {
    let body = upstream::ENDLESS;
    let patience = Duration::from_secs(60);
    Trial {
        title: format!("{CLIENTS} clients that never read an endless stream, 10 s"),
        limits: Limits { head: patience, body: patience, connections: 4096 },
        wave: Wave {
            connections: CLIENTS,
            opening: format!(
                "POST /api/generate HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            drip: "",
            reads: false,
            lasts: Duration::from_secs(10),
        },
        may_turn_away: false,
    }
}
