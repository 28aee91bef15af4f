//! Reads a recording, of this program or of TR117. A part that cannot be read is reported with its place, and the
//! rest is read.

mod agents;
mod by_run;
mod chunk_times;
mod chunks;
mod column;
mod foreign;
mod gpu;
mod lag;
mod live;
mod phases;
mod plan;
mod reading;
mod recorded;
mod runs;
mod sound;
mod suite;
mod table;
mod whole;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    Environment, FORMAT,
    layout::{AGENTS, CHUNKS, ENVIRONMENT, GPU, LAG, RUNS},
    problem::Problems,
};
use crate::{
    analysis::{Recording, Settings, Until},
    experiment::plan::{ConditionPlan, Plan},
};
use reading::{ONLY_RUN, Reading};
pub use recorded::Recorded;

/// The reason why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder cannot be read.
    #[error("cannot read {} as the folder of a recording", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// None of the files exists.
    #[error(
        "{} holds no recording: it has no runs.csv, chunk_metrics.csv, loop_lag.csv, gpu_metrics.csv or run_1.json",
        path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

/// The number of levels below a folder in which recordings are searched.
const DEPTH: usize = 4;

fn holds(folder: &Path) -> bool {
    [RUNS, CHUNKS, LAG, GPU].into_iter().any(|file| folder.join(file).is_file()) || suite::exists(folder)
}

/// Reads the recording in a folder or, if the folder itself holds none, every recording below it, for an analysis with
/// these settings. The name of a recording below the folder is its path. The folders of TR117's suite are one recording. `progress` is told how many bytes were read since
/// the last call.
///
/// Chunks and lag are reduced to a [`RunDigest`] of each run while they are read, so that a recording of any number of
/// chunks can be analysed. The memory holds the rows of the largest run, and all agents and GPU readings. Three numbers of
/// each row are held if a file mixes the rows of runs. All rows are kept of live traffic, and of a folder without
/// `runs.csv`, where the runs are known only at the end.
///
/// # Errors
/// As for [`read`].
///
/// [`RunDigest`]: crate::analysis::RunDigest
pub fn read_all(
    folder: &Path,
    settings: &Settings,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Recorded>, ReadError> {
    let mut read = |path: &Path, name: String| {
        // Without runs.csv, the runs of the rows are known only after all of them were read.
        let window = path.join(RUNS).is_file().then_some(settings.window);
        read_as(path, name, window, progress)
    };
    if holds(folder) {
        return Ok(vec![read(folder, name_of(folder))?]);
    }
    let found = all_below(folder);
    if found.is_empty() {
        return Ok(vec![read(folder, name_of(folder))?]);
    }
    let named = |path: PathBuf| {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        read(&path, name)
    };
    let found: Result<Vec<Recorded>, ReadError> = found.into_iter().map(named).collect();
    let name = name_of(folder);
    let found = live::joined(&name, found?);
    Ok(phases::joined(folder, name, found))
}

/// Returns the bytes of the files of rows that [`read_all`] reads, for a progress bar.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    let folders = if holds(folder) { vec![folder.to_owned()] } else { all_below(folder) };
    let files =
        folders.iter().flat_map(|folder| [RUNS, AGENTS, CHUNKS, LAG, GPU].map(|file| folder.join(file)));
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    below(folder, DEPTH, &mut found);
    found.sort();
    found
}

fn name_of(folder: &Path) -> String {
    let path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    path.file_name().map_or("recording".into(), |name| name.to_string_lossy().into_owned())
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()) {
        if holds(&path) {
            found.push(path);
        } else if depth > 1 {
            below(&path, depth - 1, found);
        }
    }
}

/// Reads the recording in a folder, and keeps every row.
///
/// # Errors
/// The folder cannot be read, or contains no file of a recording. Every other mistake is a [`Problem`](super::Problem).
pub fn read(folder: &Path) -> Result<Recorded, ReadError> {
    read_as(folder, name_of(folder), None, &mut |_| {})
}

fn read_as(
    folder: &Path,
    name: String,
    window: Option<f64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Recorded, ReadError> {
    std::fs::read_dir(folder).map_err(|source| ReadError::Folder { path: folder.into(), source })?;
    let (problems, agents) = (Problems::default(), HashMap::new());
    let mut reading = Reading { folder, problems, agents, window, progress };
    if !holds(folder) {
        return Err(ReadError::Nothing { path: folder.into() });
    }
    let environment: Option<Environment> = reading.json(ENVIRONMENT);
    let mut recording = Recording::default();
    runs::read(&mut reading, &mut recording);
    let live = match &environment {
        Some(environment) => environment.live,
        None if reading.has(RUNS) => live::without_environment(&mut reading, &recording),
        None => None,
    };
    if live.is_some() {
        // The streams of live traffic are compared with each other, chunk by chunk.
        reading.window = None;
    }
    let plan = plan::read(&mut reading, live.is_some());
    if let Some(newer) = environment.as_ref().map(|found| found.format).filter(|format| *format > FORMAT) {
        reading.problems.say(ENVIRONMENT, None, "format", || {
            format!(
                "it has format {newer}, and this version reads formats up to {FORMAT}: what is new is ignored"
            )
        });
    }
    recording.simulated = environment.as_ref().is_some_and(Environment::simulated);
    recording.live = live.is_some();
    // The JSON files are read before the chunks, because their order decides the numbers of the agents.
    let suite = if reading.has(RUNS) { Vec::new() } else { suite::read(&mut reading) };
    agents::read(&mut reading, &mut recording);
    chunks::read(&mut reading, &mut recording);
    lag::read(&mut reading, &mut recording);
    gpu::read(&mut reading, &mut recording);
    if reading.has(RUNS) {
        if let Some(plan) = &plan {
            let until =
                environment.as_ref().and_then(|environment| environment.until.as_deref()?.parse().ok());
            take_plan(&mut recording, plan, until);
            recording.notes.extend(environment.as_ref().and_then(Environment::looked));
        }
        sound::keep_whole_runs(&mut reading, &mut recording);
        recording.measure_energy();
    } else {
        foreign::complete(&mut reading, &mut recording, &name, suite);
    }
    sound::name_conditions(&mut recording);
    if let Some(live) = &live {
        live::complete(&mut recording, live);
    }
    if reading.has(RUNS) && !reading.has(AGENTS) {
        reading.problems.say(AGENTS, None, "missing", || {
            "it is missing: without it no run has durations, and so no speedup".into()
        });
    }
    Ok(Recorded { name, recording, plan, environment, problems: reading.problems.finish() })
}

/// Sets the conditions and the loads of a plan. `until` is the rule that stopped the experiment.
fn take_plan(recording: &mut Recording, plan: &Plan, until: Option<Until>) {
    let closed = plan.conditions.iter().filter(|condition| condition.load.is_none());
    recording.conditions = closed.map(|condition| condition.condition()).collect();
    for condition in &mut recording.conditions {
        condition.until = until.map(|until| until.measure().name().to_owned());
    }
    let load = |condition: &ConditionPlan| {
        Some(condition.load.as_ref()?.load(&condition.name, condition.series.as_deref()))
    };
    recording.loads = plan.conditions.iter().filter_map(load).collect();
}
