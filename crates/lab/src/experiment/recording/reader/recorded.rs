//! A recording that was read.

use super::super::{Environment, Problem};
use crate::{analysis::Recording, experiment::plan::Plan};

/// A recording that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its folder's name.
    pub name: String,
    /// Its rows.
    pub recording: Recording,
    /// The plan. `None`: there is no readable plan.
    pub plan: Option<Plan>,
    /// The environment. `None`: there is none.
    pub environment: Option<Environment>,
    /// The parts that were left out, with the reasons.
    pub problems: Vec<Problem>,
}
