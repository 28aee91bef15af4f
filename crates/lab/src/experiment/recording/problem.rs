//! What is wrong with a recording, and where.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// So many of one kind are told one by one; the rest is counted.
const TOLD: usize = 5;

/// Something that was left out or mended, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, by its name in the recording.
    pub file: String,
    /// Its line, from 1. Absent: the whole file.
    pub line: Option<u64>,
    /// What is wrong, and what was done about it.
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

/// Problems as they are found; of each kind in a file the first few, then their number.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<Problem>,
    counts: BTreeMap<(String, &'static str), usize>,
}

impl Problems {
    /// `kind` is what makes two problems alike; the text is made only if it is told.
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
                let what = format!("{} more of: {kind}", count - TOLD);
                told.push(Problem { file, line: None, what });
            }
        }
        told
    }
}
