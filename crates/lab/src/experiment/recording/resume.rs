//! Continues a recording that was interrupted.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader},
    path::Path,
};

use super::{Environment, FORMAT, layout};
use crate::experiment::plan::{Plan, PlanError};

/// The existing part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finished {
    /// The numbers of the runs that ended.
    pub(crate) runs: BTreeSet<u32>,
    /// The environment in which it began.
    pub(crate) environment: Environment,
}

/// The reason why it cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// There is no recording.
    #[error("{folder} holds no recording to continue: {source}")]
    Missing {
        /// The folder.
        folder: String,
        /// The cause.
        source: io::Error,
    },
    /// It is the recording of another plan.
    #[error("{folder} is the recording of another plan: {difference}; name its plan, or another folder")]
    Another {
        /// The folder.
        folder: String,
        /// The difference.
        difference: String,
    },
    /// Its files have other columns than those that this version writes.
    #[error(
        "{folder} has format {format}, and this version of streamgauge writes format {FORMAT}: continue it with the \
         version that began it, or name another folder"
    )]
    Format {
        /// The folder.
        folder: String,
        /// Its format.
        format: u32,
    },
    /// Its plan cannot be read.
    #[error("{folder}: plan.toml can't be read: {source}")]
    Plan {
        /// The folder.
        folder: String,
        /// The cause.
        source: PlanError,
    },
    /// A file cannot be corrected.
    #[error("{folder}: {source}")]
    Io {
        /// The folder.
        folder: String,
        /// The cause.
        source: io::Error,
    },
}

/// Finds the runs that ended, and removes the rows of other runs, which will be repeated.
///
/// # Errors
/// There is no recording of this plan.
pub(crate) fn finished(folder: &Path, plan: &Plan) -> Result<Finished, ResumeError> {
    let named = || folder.display().to_string();
    let missing = |source| ResumeError::Missing { folder: named(), source };
    let text = fs::read_to_string(folder.join(layout::PLAN)).map_err(missing)?;
    let recorded: Plan = text.parse().map_err(|source| ResumeError::Plan { folder: named(), source })?;
    if let Some(difference) = difference(&recorded, &plan.for_recording()) {
        return Err(ResumeError::Another { folder: named(), difference });
    }
    let environment = fs::read(folder.join(layout::ENVIRONMENT)).map_err(missing)?;
    let environment: Environment =
        serde_json::from_slice(&environment).map_err(|error| missing(error.into()))?;
    if environment.format != FORMAT {
        return Err(ResumeError::Format { folder: named(), format: environment.format });
    }
    let io = |source| ResumeError::Io { folder: named(), source };
    let mut runs = BTreeSet::new();
    cut(&folder.join(layout::RUNS), |run| runs.insert(run)).map_err(io)?;
    for file in [layout::AGENTS, layout::CHUNKS, layout::LAG, layout::SIDECAR, layout::TEXTS] {
        cut(&folder.join(file), |run| runs.contains(&run)).map_err(io)?;
    }
    // This file has no runs. Only a line that is cut off is removed.
    cut_line(&folder.join(layout::GPU)).map_err(io)?;
    Ok(Finished { runs, environment })
}

fn difference(recorded: &Plan, asked: &Plan) -> Option<String> {
    if recorded == asked {
        return None;
    }
    let (recorded, asked) = (recorded.to_toml(), asked.to_toml());
    let mut pairs = recorded.lines().zip(asked.lines());
    let pair = pairs.find(|(recorded, asked)| recorded != asked);
    Some(pair.map_or_else(
        || "one has more agents or conditions".into(),
        |(recorded, asked)| format!("it says `{recorded}` and this one `{asked}`"),
    ))
}

/// Keeps the rows before the first one of a run that is not `kept`. Runs are written one after another, so all rows
/// of the interrupted run are at the end.
fn cut(path: &Path, mut kept: impl FnMut(u32) -> bool) -> io::Result<()> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => BufReader::with_capacity(1 << 20, opened?),
    };
    let mut line = Vec::new();
    let mut length = file.read_until(b'\n', &mut line)? as u64;
    if line.last() != Some(&b'\n') {
        length = 0;
    } else {
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line)? as u64;
            // A line without a number continues a field that contains a line break. It belongs to the row before it.
            let run = line.split(|byte| *byte == b',').next().and_then(|run| std::str::from_utf8(run).ok());
            let run = run.and_then(|run| run.parse().ok());
            if line.last() != Some(&b'\n') || run.is_some_and(|run| !kept(run)) {
                break;
            }
            length += read;
        }
    }
    OpenOptions::new().write(true).open(path)?.set_len(length)
}

fn cut_line(path: &Path) -> io::Result<()> {
    cut(path, |_| true)
}
