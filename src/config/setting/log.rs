//! The section `[log]`.

use tracing::Level;

use super::definition::{DAY, INSTANT, Setting, flagged, setting};
use crate::{
    config::{
        LogFormat,
        choice::{choose, name, names},
        field::Field,
    },
    request_log::Logged,
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
        "log.requests",
        Field::Choice {
            options: names::<Logged>,
            get: |c| name(c.sidecar.request_log.requests),
            set: |c, word| choose(&mut c.sidecar.request_log.requests, word),
        },
        "The finished requests that get a line, whatever `log.level` is. `all`: every request. `failed`: those that failed. `slow`: those that failed and those that were slow.",
    ),
    setting(
        "log.requests_file",
        Field::Other {
            kind: "path",
            show: |c| c.requests.file.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| {
                c.requests.file = Some(given.text("\"/var/log/streamgauge/requests.log\"")?.to_owned());
                Ok(())
            },
        },
        "The file for these lines. Unset: stderr, as for the rest of the log.",
    ),
    setting(
        "log.requests_max_size",
        Field::Size(|c| &mut c.requests.max_size, 4 << 10..=1 << 40),
        "The size at which the file is rotated: it becomes `FILE.1`, and so on. A file that is no regular file, such as `/dev/stdout`, is not rotated.",
    ),
    setting(
        "log.requests_old_files",
        Field::Count(|c| &mut c.requests.old_files, 1..=1000),
        "The number of rotated files that are kept. The oldest one is deleted.",
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
