//! Writes a recording during the experiment.

mod live;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use csv::ByteRecord;

use super::{
    Environment,
    decimal::{Unit, itoa, write as write_time},
    file::{self, Growing},
    layout,
};
use crate::{
    analysis::{Agent, Chunk, Gaps, GpuSample, LagSample, Probe, Run, RunKind, overlap_speedup},
    experiment::plan::Plan,
};

pub(crate) use live::LIVE;
pub use live::is_part;

/// The bytes that a file buffers until the next flush.
const BUFFER: usize = 256 << 10;

/// A run, with values that the analysis does not need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRow {
    /// The run.
    pub run: Run,
    /// Its agents.
    pub agents: Vec<AgentRow>,
}

/// An agent, with values that the analysis does not need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentRow {
    /// The agent.
    pub agent: Agent,
    /// The name of its Ollama.
    pub upstream: String,
    /// The number of arrivals.
    pub chunks: u64,
    /// The number of bytes.
    pub bytes: u64,
    /// The gaps between its chunks.
    pub gaps: Gaps,
}

/// The files of a recording, open for appending. Rows are written to disk by [`Writer::flush`], and when it is
/// dropped.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    runs: csv::Writer<Growing>,
    agents: csv::Writer<Growing>,
    chunks: csv::Writer<Growing>,
    lag: csv::Writer<Growing>,
    gpu: csv::Writer<Growing>,
    sidecar: Option<csv::Writer<Growing>>,
    texts: Option<csv::Writer<Growing>>,
    row: ByteRecord,
    field: Vec<u8>,
}

impl Writer {
    /// Starts a recording in a folder that is new or empty.
    ///
    /// # Errors
    /// The folder cannot be created, is not empty, or cannot be written to.
    pub fn create(folder: &Path, plan: &Plan, environment: &Environment) -> io::Result<Writer> {
        fs::create_dir_all(folder)?;
        if fs::read_dir(folder)?.next().is_some() {
            let what = format!(
                "{} is not empty: name another folder with --output, or continue with --resume",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        file::write(&folder.join(layout::PLAN), &plan.for_recording().to_toml())?;
        Writer::describe(folder, environment)?;
        Writer::open(folder)
    }

    /// Writes the whole `environment.json`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn describe(folder: &Path, environment: &Environment) -> io::Result<()> {
        let text = serde_json::to_string_pretty(environment)?;
        let draft = folder.join(".environment.json");
        file::write(&draft, &text)?;
        fs::rename(draft, folder.join(layout::ENVIRONMENT))
    }

    /// Opens the files of a recording to append rows. A new file gets its header.
    ///
    /// # Errors
    /// A file cannot be opened or written to.
    pub(crate) fn open(folder: &Path) -> io::Result<Writer> {
        Ok(Writer {
            runs: table(folder, layout::RUNS, &layout::RUN_COLUMNS)?,
            agents: table(folder, layout::AGENTS, &layout::AGENT_COLUMNS)?,
            chunks: table(folder, layout::CHUNKS, &layout::CHUNK_COLUMNS)?,
            lag: table(folder, layout::LAG, &layout::LAG_COLUMNS)?,
            gpu: table(folder, layout::GPU, &layout::GPU_COLUMNS)?,
            sidecar: None,
            texts: None,
            row: ByteRecord::new(),
            field: Vec::new(),
            folder: folder.to_owned(),
        })
    }

    /// Writes arrivals of bytes.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn chunks(&mut self, chunks: &[Chunk]) -> io::Result<()> {
        for chunk in chunks {
            self.whole(chunk.run.into());
            self.whole(chunk.agent.into());
            self.time(chunk.at, Unit::Seconds);
            self.whole(chunk.bytes.into());
            self.whole(chunk.records.into());
            self.time(chunk.gap, Unit::Milliseconds);
            self.time(chunk.parse, Unit::Milliseconds);
            self.count(Some(u64::from(chunk.streams)).filter(|streams| *streams > 0));
            self.chunks.write_byte_record(&self.row)?;
            self.row.clear();
        }
        Ok(())
    }

    /// Writes probes of event loops.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn lag(&mut self, samples: &[LagSample]) -> io::Result<()> {
        for sample in samples {
            self.whole(sample.run.into());
            self.whole(sample.process.into());
            self.row.push_field(match sample.probe {
                Probe::Schedule => b"schedule",
                Probe::Yield => b"yield",
            });
            self.time(sample.at, Unit::Seconds);
            self.time(sample.lag, Unit::Milliseconds);
            self.lag.write_byte_record(&self.row)?;
            self.row.clear();
        }
        Ok(())
    }

    /// Writes a reading of the GPU with this index.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn gpu(&mut self, gpu: &str, sample: &GpuSample) -> io::Result<()> {
        self.time(sample.at, Unit::Seconds);
        self.row.push_field(gpu.as_bytes());
        self.number(sample.watts);
        // The percentage is rounded to a ten thousandth, so that 0.29 is written as 29.
        self.number((sample.utilization * 1e6).round() / 1e4);
        self.number(sample.memory / f64::from(1 << 20));
        self.number(sample.pcie_received);
        self.number(sample.pcie_sent);
        self.number(sample.energy);
        self.gpu.write_byte_record(&self.row)?;
        self.row.clear();
        Ok(())
    }

    /// Writes the changes of the sidecar's metrics during a run.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn sidecar(&mut self, run: u32, upstream: &str, changes: &[(String, f64)]) -> io::Result<()> {
        if self.sidecar.is_none() {
            self.sidecar = Some(table(&self.folder, layout::SIDECAR, &layout::SIDECAR_COLUMNS)?);
        }
        let Some(file) = &mut self.sidecar else { return Ok(()) };
        for (series, change) in changes {
            file.write_record([&run.to_string(), upstream, series, &change.to_string()])?;
        }
        Ok(())
    }

    /// Writes the text of an answer as a JSON string, so that a row is one line. Only for plans that keep text.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub(crate) fn text(&mut self, run: u32, agent: u32, text: &str) -> io::Result<()> {
        if self.texts.is_none() {
            self.texts = Some(table(&self.folder, layout::TEXTS, &layout::TEXT_COLUMNS)?);
        }
        let Some(file) = &mut self.texts else { return Ok(()) };
        Ok(file.write_record([run.to_string(), agent.to_string(), serde_json::to_string(text)?])?)
    }

    /// Writes a run that ended, with its agents. Its row in `runs.csv` comes last: a run without one was interrupted.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn run(&mut self, row: &RunRow) -> io::Result<()> {
        for agent in &row.agents {
            self.agent(agent)?;
        }
        self.flush()?;
        let run = &row.run;
        self.head(run);
        self.whole(row.agents.len() as u64);
        self.derived(row);
        self.runs.write_byte_record(&self.row)?;
        self.row.clear();
        self.flush()
    }

    /// Writes the first columns of a run.
    fn head(&mut self, run: &Run) {
        self.whole(run.id.into());
        self.row.push_field(run.condition.as_bytes());
        self.row.push_field(match run.kind {
            RunKind::Solo => b"solo",
            RunKind::Together => b"together",
            RunKind::Open => b"open",
        });
        self.whole(run.repetition.unwrap_or_default().into());
        self.row.push_field(if run.warm_up { b"true" } else { b"false" });
        self.time(run.started, Unit::Seconds);
        self.time(run.wall.unwrap_or(f64::NAN), Unit::Seconds);
    }

    /// Writes the columns of TR117 for a run. They are for people who open the file; the reader ignores them.
    fn derived(&mut self, row: &RunRow) {
        let agents: Vec<&Agent> = row.agents.iter().map(|row| &row.agent).collect();
        let whole = agents.iter().all(|agent| agent.failure.is_none()) && row.run.kind == RunKind::Together;
        let durations: Vec<f64> = agents.iter().map(|agent| agent.duration).collect();
        let overlap = row.run.wall.filter(|_| whole).and_then(|wall| overlap_speedup(&durations, wall));
        self.number(overlap.map_or(f64::NAN, |overlap| overlap.speedup));
        self.number(overlap.map_or(f64::NAN, |overlap| 100.0 * overlap.efficiency));
        self.row.push_field(match overlap {
            None => b"",
            Some(overlap) if overlap.contention => b"true",
            Some(_) => b"false",
        });
        let ends = agents.first().zip(agents.last()).filter(|_| whole && agents.len() > 1);
        let delta = |of: &dyn Fn(&Agent) -> Option<f64>| {
            ends.and_then(|(first, last)| Some(of(last)? - of(first)?)).unwrap_or(f64::NAN)
        };
        self.number(delta(&throughput));
        self.time(delta(&|agent: &Agent| agent.first_token), Unit::Milliseconds);
    }

    fn agent(&mut self, row: &AgentRow) -> io::Result<()> {
        let agent = &row.agent;
        self.whole(agent.run.into());
        self.whole(agent.agent.into());
        for text in [&agent.role, &agent.model, &row.upstream] {
            self.row.push_field(text.as_bytes());
        }
        self.time(agent.scheduled.unwrap_or(f64::NAN), Unit::Seconds);
        self.time(agent.started, Unit::Seconds);
        self.time(agent.duration, Unit::Seconds);
        self.time(agent.first_token.unwrap_or(f64::NAN), Unit::Milliseconds);
        self.count(agent.tokens);
        self.time(agent.eval_duration.unwrap_or(f64::NAN), Unit::Nanoseconds);
        self.count(agent.prompt_tokens);
        for duration in [agent.prompt_eval_duration, agent.load_duration, agent.total_duration] {
            self.time(duration.unwrap_or(f64::NAN), Unit::Nanoseconds);
        }
        self.number(throughput(agent).unwrap_or(f64::NAN));
        self.whole(row.chunks);
        self.whole(row.bytes);
        self.time(agent.cpu.unwrap_or(f64::NAN), Unit::Seconds);
        self.row.push_field(agent.failure.as_deref().unwrap_or_default().as_bytes());
        let served = agent.served.as_deref();
        self.row.push_field(served.map_or("", |served| &served.route).as_bytes());
        let waits = served.map(|served| [served.queue, served.hidden_queue, served.client_wait]);
        for wait in waits.unwrap_or_default() {
            self.time(wait.unwrap_or(f64::NAN), Unit::Seconds);
        }
        self.agents.write_byte_record(&self.row)?;
        self.row.clear();
        Ok(())
    }

    /// Passes all rows to the operating system, so that they survive a crash of this process.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn flush(&mut self) -> io::Result<()> {
        let always = [&mut self.runs, &mut self.agents, &mut self.chunks, &mut self.lag, &mut self.gpu];
        for file in always.into_iter().chain(&mut self.sidecar).chain(&mut self.texts) {
            file.flush()?;
        }
        Ok(())
    }

    fn whole(&mut self, value: u64) {
        self.row.push_field(itoa(value, &mut [0; 20]));
    }

    fn count(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.whole(value),
            None => self.row.push_field(b""),
        }
    }

    fn time(&mut self, seconds: f64, unit: Unit) {
        self.field.clear();
        write_time(seconds, unit, &mut self.field);
        self.row.push_field(&self.field);
    }

    fn number(&mut self, value: f64) {
        self.field.clear();
        if value.is_finite() {
            // Writing into memory cannot fail.
            let _ = write!(self.field, "{value}");
        }
        self.row.push_field(&self.field);
    }
}

/// Returns Ollama's own rate as in TR117, `eval_count / eval_duration`, in tokens per second.
fn throughput(agent: &Agent) -> Option<f64> {
    let rate = agent.tokens? as f64 / agent.eval_duration?;
    rate.is_finite().then_some(rate)
}

fn table(folder: &Path, name: &str, columns: &[&str]) -> io::Result<csv::Writer<Growing>> {
    let file = Growing::open(folder.join(name))?;
    let is_new = file.is_empty()?;
    let mut table = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(file);
    if is_new {
        table.write_record(columns)?;
    }
    Ok(table)
}
