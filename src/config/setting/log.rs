//! The section `[log]`.

use tracing::Level;

use super::definition::{DAY, INSTANT, Setting, flagged, setting};
use crate::config::{
    LogFormat,
    choice::{choose, name, names},
    field::Field,
};

/// Its settings, in the order of the documentation.
pub(super) static LOG: &[Setting] = &[
    flagged(
        "log.format",
        "--log-format",
        Field::Choice {
            options: names::<LogFormat>,
            get: |c| name(c.log.format),
            set: |c, word| choose(&mut c.log.format, word),
        },
        "`text` for people, or `json` for one JSON object per line.",
    ),
    flagged(
        "log.level",
        "-v, -q",
        Field::Choice {
            options: names::<Level>,
            get: |c| name(c.log.level),
            set: |c, word| choose(&mut c.log.level, word),
        },
        "The least severe level that is written. `debug` has a line for each finished request.",
    ),
    setting(
        "log.slow_ttft",
        Field::Interval(|c| &mut c.sidecar.meter.slow.first_token, INSTANT..=DAY),
        "A request that makes the GPU work is slow if its first token comes later than this, or if its client leaves later than this without a token.",
    ),
    setting(
        "log.slow_duration",
        Field::Interval(|c| &mut c.sidecar.meter.slow.duration, INSTANT..=DAY),
        "A request that makes the GPU work is slow if it takes longer than this in all.",
    ),
];
