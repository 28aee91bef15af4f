//! The state that the readers of the files share.

use std::{collections::HashMap, fs, io, path::Path};

use serde::de::DeserializeOwned;

use super::super::problem::Problems;

/// The number of the only run, if there is no `runs.csv`.
pub(super) const ONLY_RUN: u32 = 0;

/// The state that the readers of the files share.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) problems: Problems,
    /// The numbers of agents, if the recording has names.
    pub(super) agents: HashMap<Vec<u8>, u32>,
    /// The length of a window, if chunks and lag are reduced to a digest of each run. `None`: all rows are kept.
    pub(super) window: Option<f64>,
    /// Is told how many bytes of the files have been read since it was told last.
    pub(super) progress: &'a mut dyn FnMut(u64),
}

impl Reading<'_> {
    pub(super) fn has(&self, file: &str) -> bool {
        self.folder.join(file).is_file()
    }

    /// Reads a JSON file. `None`: it is missing, or it cannot be read, which is a problem.
    pub(super) fn json<T: DeserializeOwned>(&mut self, file: &str) -> Option<T> {
        let (line, error) = match fs::read(self.folder.join(file)) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(value) => return Some(value),
                Err(error) => (Some(error.line() as u64).filter(|line| *line > 0), error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => (None, error.to_string()),
        };
        self.problems.say(file, line, "unreadable", || format!("it cannot be read: {error}"));
        None
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
