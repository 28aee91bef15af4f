//! Bodies that arrive at one byte per second, and then stop.

use std::time::Duration;

use super::{affordable, trial::Trial, wave::Wave};
use crate::peer::Limits;

const BODY: Duration = Duration::from_secs(3);
const BYTES: &str = "{\"mod";

pub(super) fn trial() -> Trial {
    let (connections, said) = affordable(1000);
    Trial {
        title: format!(
            "{said} bodies of {} bytes in as many seconds, then none; {} s allowed",
            BYTES.len(),
            BODY.as_secs()
        ),
        limits: Limits { head: Duration::from_secs(60), body: BODY, connections: connections + 80 },
        wave: Wave {
            connections,
            opening: "POST /api/generate HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/json\r\n\
                      Content-Length: 1000\r\n\r\n"
                .to_owned(),
            drip: BYTES,
            reads: true,
            lasts: BODY + Duration::from_secs(BYTES.len() as u64 + 4),
        },
        may_turn_away: false,
    }
}
