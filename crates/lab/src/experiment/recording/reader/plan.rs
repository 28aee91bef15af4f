//! The plan of a recording.

use super::{
    super::layout::{PLAN, RUNS},
    Reading,
};
use crate::experiment::plan::Plan;

/// A recording of live traffic has no plan.
pub(super) fn read(reading: &mut Reading<'_>, is_live: bool) -> Option<Plan> {
    let Ok(text) = std::fs::read_to_string(reading.folder.join(PLAN)) else {
        if reading.has(RUNS) && !is_live {
            reading.problems.say(PLAN, None, "missing", || {
                "it is missing: only the names of the conditions are known, and the first one is taken for the baseline of the others".into()
            });
        }
        return None;
    };
    match text.parse() {
        Ok(plan) => Some(plan),
        Err(error) => {
            let error = error.to_string().trim_end().replace('\n', "; ");
            reading.problems.say(PLAN, None, "unreadable", || {
                format!("it cannot be read, and the first condition is taken for the baseline of the others: {error}")
            });
            None
        }
    }
}
