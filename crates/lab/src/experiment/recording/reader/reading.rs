//! The state that the readers of the files share.

use std::{collections::HashMap, path::Path};

use super::super::problem::Problems;

/// The number of the only run, if there is no `runs.csv`.
pub(super) const ONLY_RUN: u32 = 0;

/// The state that the readers of the files share.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) problems: Problems,
    /// The numbers of agents, if the recording has names.
    pub(super) agents: HashMap<Vec<u8>, u32>,
}

impl Reading<'_> {
    pub(super) fn has(&self, file: &str) -> bool {
        self.folder.join(file).is_file()
    }

    /// Returns the number of an agent from its name in a row.
    pub(super) fn agent(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
            return number;
        }
        let next = self.agents.len() as u32;
        *self.agents.entry(name.to_owned()).or_insert(next)
    }
}
