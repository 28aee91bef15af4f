//! Measures the analysis of a million chunks with the default settings, which may take at most one second, and the
//! reading of them.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{hint::black_box, path::Path, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use streamgauge_lab::analysis::{Recording, Settings, analyse};
use streamgauge_lab::experiment::{
    Plan,
    recording::{AgentRow, Environment, RunRow, Writer, read},
};

// The test of the memory uses this file too.
#[path = "../tests/analysis_memory/million.rs"]
mod million;

const PLAN: &str = "name = \"million\"\n[upstreams]\none = \"http://127.0.0.1:1\"\n\
    [[agent]]\nname = \"a\"\nmodel = \"m\"\nprompt = \"p\"\ntokens = 1\n[[condition]]\nname = \"condition 0\"\n";

fn analysis(criterion: &mut Criterion) {
    let recording = million::recording();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("recording");
    write(&recording, &path).expect("a recording can be written");
    let mut group = criterion.benchmark_group("analysis");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function("a million chunks", |bencher| {
        bencher.iter(|| analyse(black_box(&recording), &Settings::default()));
    });
    group.bench_function("a million chunks, read from disk", |bencher| bencher.iter(|| read(&path)));
    group.finish();
}

fn write(recording: &Recording, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = Writer::create(path, &PLAN.parse::<Plan>()?, &Environment::default())?;
    writer.chunks(&recording.chunks)?;
    writer.lag(&recording.lag)?;
    for run in &recording.runs {
        let agents = recording.agents.iter().filter(|agent| agent.run == run.id);
        let agents = agents.map(|agent| AgentRow { agent: agent.clone(), ..AgentRow::default() }).collect();
        writer.run(&RunRow { run: run.clone(), agents })?;
    }
    Ok(writer.flush()?)
}

criterion_group!(benches, analysis);
criterion_main!(benches);
