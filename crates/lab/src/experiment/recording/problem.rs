//! The problems of a recording, with their places.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// The number of problems of one kind that are reported one by one. The rest is counted.
const TOLD: usize = 5;

/// A part that was left out or corrected, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, by its name in the recording.
    pub file: String,
    /// The line, from 1. `None`: the whole file.
    pub line: Option<u64>,
    /// The problem, and how it was handled.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Collects problems. Of each kind in a file it keeps the first ones and the number of the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems {
    told: Vec<Problem>,
    counts: BTreeMap<(String, &'static str), usize>,
}

impl Problems {
    /// Adds a problem. Problems with the same `kind` are alike. The text is created only if it is kept.
    pub(super) fn say(
        &mut self,
        file: &str,
        line: Option<u64>,
        kind: &'static str,
        what: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry((file.to_owned(), kind)).or_default();
        *count += 1;
        if *count <= TOLD {
            self.told.push(Problem { file: file.to_owned(), line, what: what() });
        }
    }

    pub(super) fn finish(self) -> Vec<Problem> {
        let mut told = self.told;
        for ((file, kind), count) in self.counts {
            if count > TOLD {
                let what = format!("{} more problems of this kind: {kind}", count - TOLD);
                told.push(Problem { file, line: None, what });
            }
        }
        told
    }
}
