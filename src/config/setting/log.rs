//! The section `[log]`.

use tracing::Level;

use super::{Setting, flagged};
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
];
