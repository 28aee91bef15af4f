//! The plan of a recording.

use std::io;

use super::{
    super::layout::{PLAN, RUNS},
    Reading,
};
use crate::experiment::plan::Plan;

/// A recording of live traffic has no plan.
pub(super) fn read(reading: &mut Reading<'_>, is_live: bool) -> Option<Plan> {
    let found = match std::fs::read_to_string(reading.folder.join(PLAN)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if reading.has(RUNS) && !is_live {
                reading.problems.say(PLAN, None, "missing", || {
                    "it is missing: only the names of the conditions are known, and the first one is taken for the baseline of the others".into()
                });
            }
            return None;
        }
        Err(error) => Err(error.to_string()),
        Ok(text) => text.parse::<Plan>().map_err(|error| error.to_string().trim_end().replace('\n', "; ")),
    };
    found
        .map_err(|error| {
            reading.problems.say(PLAN, None, "unreadable", || {
                format!("it cannot be read, and the first condition is taken for the baseline of the others: {error}")
            });
        })
        .ok()
}
