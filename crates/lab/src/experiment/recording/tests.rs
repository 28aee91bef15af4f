//! Writes recordings and reads them back, cut off, corrected and broken in every way.

mod digest;
mod live;
mod odd;
mod suite;

use std::{fs, path::Path, sync::LazyLock};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{reader::Recorded, *};
use crate::{
    analysis::{Agent, Chunk, GpuSample, LagSample, Probe, Recording, Run, RunKind},
    experiment::Plan,
};

const PLAN: &str = r#"
name = "try"
[upstreams]
one = "http://127.0.0.1:1"
[[agent]]
name = "writer"
model = "m"
prompt = "p"
tokens = 8
[[condition]]
name = "rust"
count = 2
[[condition]]
name = "python"
language = "python"
count = 2
baseline = "rust"
"#;

fn plan() -> Plan {
    PLAN.parse().unwrap()
}

/// Writes a recording with two runs and a few rows of each kind.
fn written() -> (TempDir, Recording) {
    let folder = TempDir::new().unwrap();
    let mut recording = Recording {
        conditions: plan().conditions.iter().map(|condition| condition.condition()).collect(),
        ..Recording::default()
    };
    let mut writer = Writer::create(folder.path(), &plan(), environment()).unwrap();
    for id in 0..2 {
        let run = Run {
            id,
            condition: ["rust", "python"][id as usize].into(),
            started: 10.0 * f64::from(id),
            wall: Some(2.5),
            agents: Some(2),
            repetition: Some(0),
            ..Run::default()
        };
        let agents: Vec<Agent> = (0..2)
            .map(|agent| Agent {
                run: id,
                agent,
                role: "writer".into(),
                model: "m".into(),
                scheduled: Some(run.started - 0.25).filter(|_| agent == 0),
                started: run.started,
                duration: 1.25 + f64::from(agent),
                tokens: Some(8),
                eval_duration: Some(0.5),
                ..Agent::default()
            })
            .collect();
        for agent in 0..2 {
            for place in 0..3 {
                let at = run.started + f64::from(place + 1) / 10.0;
                let gap = if place == 0 { f64::NAN } else { 0.1 };
                let (run, bytes, records, parse, streams) = (id, 100, 1, 1e-5, 0);
                recording.chunks.push(Chunk { run, agent, at, bytes, records, gap, parse, streams });
            }
        }
        recording.lag.push(LagSample {
            run: id,
            process: 0,
            probe: Probe::Schedule,
            at: run.started,
            lag: 0.001,
        });
        writer.chunks(&recording.chunks[6 * id as usize..]).unwrap();
        writer.lag(&recording.lag[id as usize..]).unwrap();
        let rows = agents.iter().map(|agent| AgentRow { agent: agent.clone(), ..AgentRow::default() });
        writer.run(&RunRow { run: run.clone(), agents: rows.collect() }).unwrap();
        recording.runs.push(run);
        recording.agents.extend(agents);
    }
    (folder, recording)
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: LazyLock<Environment> =
        LazyLock::new(|| Environment { format: FORMAT, ..Environment::default() });
    &ENVIRONMENT
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = folder.join(file);
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
}

#[track_caller]
fn assert_problem(recorded: &Recorded, expected: &str) {
    let problems: Vec<String> = recorded.problems.iter().map(Problem::to_string).collect();
    assert!(
        problems.iter().any(|problem| problem.contains(expected)),
        "{expected:?} is not in {problems:#?}"
    );
}

/// NaN equals NaN.
#[track_caller]
fn assert_same(read: &Recording, written: &Recording) {
    assert_eq!(format!("{read:#?}"), format!("{written:#?}"));
}

#[test]
fn recording_is_read_back_as_written_without_problems() {
    let (folder, recording) = written();
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.problems, []);
    assert_same(&recorded.recording, &recording);
    assert_eq!(recorded.plan.unwrap(), plan().for_recording());
}

#[test]
fn recording_file_that_is_cut_loses_only_its_last_line() {
    let (folder, recording) = written();
    // The cut is in the middle of the last number, and the rest would still be a number.
    edit(folder.path(), layout::CHUNKS, |text| text[..text.len() - 2].to_owned());
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv:13: the last line is cut off");
    assert_eq!(recorded.recording.chunks.len(), recording.chunks.len() - 1);
    assert_eq!(recorded.recording.runs, recording.runs);
}

#[test]
fn recording_leaves_out_interrupted_run() {
    let (folder, _) = written();
    edit(folder.path(), layout::RUNS, |text| {
        text.lines().take(2).map(|line| line.to_owned() + "\n").collect()
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv: run 1 has rows here and none in runs.csv");
    assert!(recorded.recording.chunks.iter().all(|chunk| chunk.run == 0));
    assert_eq!(recorded.recording.agents.len(), 2);
}

#[test]
fn recording_with_missing_column_names_it_and_reads_other_files() {
    let (folder, recording) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replace("bytes", "octets"));
    edit(folder.path(), layout::LAG, |text| text.replace("lag_ms", "lag"));
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv:1: it lacks the column bytes");
    assert_problem(&recorded, "loop_lag.csv:1: it lacks the column lag_ms");
    assert_eq!(recorded.recording.agents, recording.agents);
}

#[test]
fn recording_with_impossible_rows_names_their_lines() {
    let (folder, recording) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replacen("0,0,0.2,", "0,0,soon,", 1));
    edit(folder.path(), layout::AGENTS, |text| text.replacen("1.25", "", 1));
    edit(folder.path(), layout::LAG, |text| text + "1,0,guess,1,1\n1,0,yield,1\n1,0,yield,1,-5\n");
    edit(folder.path(), layout::RUNS, |text| {
        let last = text.lines().last().unwrap().to_owned();
        text + &last + "\n7,rust,alone,0,false,1,1,1,,,,,\n"
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv:3: timestamp is not a time");
    assert_problem(&recorded, "agents.csv:2: agent 0 of run 0 has no duration");
    assert_problem(&recorded, "loop_lag.csv:4: probe is \"guess\"");
    assert_problem(&recorded, "loop_lag.csv:5: the row has 4 fields and the header 5");
    assert_problem(&recorded, "loop_lag.csv:6: lag is below 0");
    assert_problem(&recorded, "runs.csv:4: run 1 occurs twice");
    assert_problem(&recorded, "runs.csv:5: kind is \"alone\"");
    assert_eq!(recorded.recording.chunks.len(), recording.chunks.len() - 1);
    assert_eq!(recorded.recording.lag, recording.lag);
}

#[test]
fn recording_with_clock_that_goes_backwards_has_no_gap_there() {
    let (folder, _) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replacen("0,1,0.2,", "0,1,0.02,", 1));
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv:6: the clock of agent 1 of run 0 goes backwards");
    let chunk = recorded.recording.chunks[4];
    assert!(chunk.at == 0.02 && chunk.gap.is_nan(), "{chunk:?}");
}

#[test]
fn recording_with_wrong_unit_is_corrected_by_its_timestamps() {
    let (folder, recording) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replace("gap_ms", "gap_s"));
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv:1: gaps are 1000.000 times those of the timestamps");
    let gap = recorded.recording.chunks[1].gap;
    assert!((gap - recording.chunks[1].gap).abs() < 1e-12, "{gap}");
}

#[test]
fn recording_with_dead_agent_names_it_and_reads_the_rest() {
    let (folder, recording) = written();
    edit(folder.path(), layout::AGENTS, |text| {
        text.lines().take(3).map(|line| line.to_owned() + "\n").collect()
    });
    edit(folder.path(), layout::CHUNKS, |text| {
        text.lines().filter(|line| !line.starts_with("0,1,")).map(|line| line.to_owned() + "\n").collect()
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "agents.csv: run 1 has no agent here");
    assert_problem(&recorded, "chunk_metrics.csv: agent 1 of run 0 has no chunk");
    assert_eq!(recorded.recording.runs, recording.runs);
}

#[test]
fn recording_is_not_found_in_other_folder() {
    let folder = TempDir::new().unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("holds no recording"), "{error}");
    let error = read(&folder.path().join("nowhere")).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}

#[test]
fn recording_of_tr117_is_read_as_published() {
    let folder = TempDir::new().unwrap();
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    write(
        layout::CHUNKS,
        "timestamp,agent_id,bytes,gap_ms,parse_ms\n\
         1000.5,collector,101,487.2,0.023\n1000.52408,insight,102,24.08,0.021\n1000.54816,collector,101,48.16,0.02\n",
    );
    write(layout::LAG, "timestamp,lag_ms\n1000.6,16.13\n1000.7,3.27\n");
    write(
        layout::GPU,
        "timestamp, power.draw [W], utilization.gpu [%], memory.used [MiB], pcie.rx, pcie.tx\n\
         2025/11/27 10:11:12.000, 180.50 W, 85 %, 10000 MiB, [N/A], 40\n\
         2025/11/27 10:11:12.100, 220.00 W, 95 %, 10000 MiB, 80, 40\n",
    );
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "runs.csv: it is missing");
    let recording = &recorded.recording;
    assert_eq!((recording.runs.len(), recording.agents.len(), recording.conditions.len()), (1, 2, 1));
    let collector = &recording.agents[0];
    // From its first chunk, less the gap before it, to its last chunk.
    assert!((collector.duration - (0.4872 + 0.04816)).abs() < 1e-9, "{collector:?}");
    assert_eq!(recording.chunks[1].gap, 0.024_08);
    assert_eq!(recording.lag[0].lag, 0.016_13);
    let gpu = recording.gpu[1];
    assert!((gpu.at - 0.1).abs() < 1e-6 && gpu.watts == 220.0 && gpu.utilization == 0.95, "{gpu:?}");
    assert!(recording.gpu[0].pcie_received.is_nan() && gpu.pcie_received == 80e6, "{gpu:?}");
    let analysis = crate::analysis::analyse(recording, &crate::analysis::Settings::default());
    assert_eq!(analysis.runs[0].overlap.map(|overlap| overlap.contention), Some(true));
}

#[test]
fn recording_resumes_where_it_was_interrupted() {
    let (folder, recording) = written();
    edit(folder.path(), layout::RUNS, |text| {
        text.lines().take(2).map(|line| line.to_owned() + "\n").collect()
    });
    edit(folder.path(), layout::LAG, |text| text[..text.len() - 1].to_owned());
    let found = finished(folder.path(), &plan()).unwrap();
    assert_eq!(found.runs.into_iter().collect::<Vec<_>>(), [0]);
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.problems, [], "what the interrupted run left is gone");
    assert_eq!(recorded.recording.agents, recording.agents[..2]);

    let mut other = plan();
    other.repetitions = 9;
    let error = finished(folder.path(), &other).unwrap_err().to_string();
    assert!(error.contains("`repetitions = 5` and this one `repetitions = 9`"), "{error}");
    let nowhere = finished(TempDir::new().unwrap().path(), &plan()).unwrap_err().to_string();
    assert!(nowhere.contains("holds no recording to continue"), "{nowhere}");
}

#[test]
fn recording_is_never_overwritten() {
    let (folder, _) = written();
    let error = Writer::create(folder.path(), &plan(), environment()).unwrap_err().to_string();
    assert!(error.contains("not empty") && error.contains("--resume"), "{error}");
}

fn nanoseconds() -> impl Strategy<Value = f64> {
    (0_i64..1 << 50).prop_map(|value| value as f64 / 1e9)
}

prop_compose! {
    fn agent()(
        run in 0_u32..9, agent in 0_u32..200, role in "[a-z ,\"é]{1,8}x", started in nanoseconds(),
        duration in nanoseconds(), first in prop::option::of(nanoseconds()), tokens in prop::option::of(0_u64..1 << 40),
        eval in prop::option::of(nanoseconds()), cpu in prop::option::of(nanoseconds()),
        failure in prop::option::of("x[ -~]{0,20}x"),
    ) -> Agent {
        Agent {
            run, agent, role: format!("x{role}"), model: "m:1".into(), started, duration, first_token: first, tokens,
            eval_duration: eval, prompt_tokens: tokens, load_duration: eval, cpu, failure, ..Agent::default()
        }
    }
}

prop_compose! {
    fn chunk()(
        run in 0_u32..9, agent in 0_u32..9, at in nanoseconds(), bytes: u32, records in 0_u32..99, parse in nanoseconds(),
    ) -> Chunk {
        Chunk { run, agent, at, bytes, records, gap: f64::NAN, parse, streams: 0 }
    }
}

prop_compose! {
    fn gpu()(
        at in nanoseconds(), watts in 0_u32..900_000, percent in 0_u32..=100, memory in 0_u64..1 << 40, rate in 0_u64..1 << 40,
    ) -> GpuSample {
        GpuSample {
            at, watts: f64::from(watts) / 1e3, utilization: f64::from(percent) / 100.0, memory: memory as f64,
            pcie_received: rate as f64, pcie_sent: f64::NAN, gpu: 0, energy: watts.into(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn recording_of_any_content_round_trips(
        agents in prop::collection::vec(agent(), 0..12), mut chunks in prop::collection::vec(chunk(), 0..40),
        gpu in prop::collection::vec(gpu(), 0..8), lags in prop::collection::vec((nanoseconds(), nanoseconds()), 0..8),
    ) {
        // A clock that goes backwards is a problem of its own, which this property does not cover.
        chunks.sort_by(|a, b| a.at.total_cmp(&b.at));
        let conditions = plan().conditions.iter().map(|condition| condition.condition()).collect();
        let lag = lags.iter().map(|(at, lag)| LagSample { run: 3, process: 1, probe: Probe::Yield, at: *at, lag: *lag });
        let mut recording = Recording { conditions, chunks, gpu, lag: lag.collect(), ..Recording::default() };
        let folder = TempDir::new().unwrap();
        let mut writer = Writer::create(folder.path(), &plan(), environment()).unwrap();
        writer.chunks(&recording.chunks).unwrap();
        writer.lag(&recording.lag).unwrap();
        for sample in &recording.gpu {
            writer.gpu("0", sample).unwrap();
        }
        for id in 0..9 {
            let kind = if id % 2 == 0 { RunKind::Solo } else { RunKind::Together };
            let of_run = agents.iter().filter(|agent| agent.run == id).cloned();
            let agents: Vec<Agent> = of_run.collect();
            let run = Run {
                id,
                condition: "rust".into(),
                kind,
                warm_up: id == 0,
                started: 0.5,
                wall: None,
                joules: None,
                agents: Some(agents.len() as u32),
                repetition: Some(id / 3),
            };
            let rows = agents.iter().map(|agent| AgentRow { agent: agent.clone(), ..AgentRow::default() });
            writer.run(&RunRow { run: run.clone(), agents: rows.collect() }).unwrap();
            recording.runs.push(run);
            recording.agents.extend(agents);
        }
        drop(writer);
        let read = read(folder.path()).unwrap().recording;
        prop_assert_eq!(format!("{read:?}"), format!("{recording:?}"));
    }
}
