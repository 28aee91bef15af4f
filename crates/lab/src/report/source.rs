//! A recording of a report.

use serde::Serialize;

use crate::experiment::recording::{Environment, Problem};

/// A recording of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its folder's name.
    pub name: String,
    /// The name of its plan.
    pub(crate) plan: Option<String>,
    /// Its environment.
    pub(crate) environment: Option<Environment>,
    /// The parts that were left out, with the reasons.
    pub(crate) problems: Vec<Problem>,
}
