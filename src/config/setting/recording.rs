//! The section `[recording]`.

use super::definition::{Setting, setting};
use crate::config::field::Field;

/// Its settings, in the order of the documentation.
pub(super) static RECORDING: &[Setting] = &[
    setting(
        "recording.folder",
        Field::Other {
            kind: "path",
            show: |c| c.recording.folder.clone().map(|path| toml::Value::from(path).to_string()),
            set: |c, given| {
                c.recording.folder = Some(given.text("\"/var/lib/streamgauge/recording\"")?.to_owned());
                Ok(())
            },
        },
        "The folder in which the generations of clients are recorded, for `streamgauge report`: lengths, times and outcomes, without content and keys. It is created if it does not exist. Unset: no generation is recorded.",
    ),
    setting(
        "recording.sample_ratio",
        Field::Other {
            kind: "0 to 1",
            show: |c| Some(c.sidecar.recording.sample_ratio.to_string()),
            set: |c, given| {
                c.sidecar.recording.sample_ratio = given.real("0.1", &(0.0..=1.0))?;
                Ok(())
            },
        },
        "The share of the generations that are recorded, chosen at random.",
    ),
    setting(
        "recording.max_size",
        Field::Size(|c| &mut c.recording.max_size, 16 << 20..=1 << 44),
        "The maximum size of the folder. The recording consists of parts of at most an hour or an eighth of this size. If the folder becomes larger, the oldest part is removed.",
    ),
    setting(
        "recording.callers",
        Field::Truth(|c| &mut c.recording.callers),
        "Record a pseudonym of the caller of each generation, so that the report tells which caller slows which. It is a hash with a random key that is never stored, and changes with each start of the sidecar. The name is never recorded. `false`: the recording has the model in its place.",
    ),
];
