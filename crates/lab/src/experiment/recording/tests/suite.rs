//! Folders in the layout of TR117's own files: several runs in one CSV file, and JSON files of the runs.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{assert_problem, edit, layout};
use crate::{
    analysis::{Analysis, Language, Measure, Remedy, Settings, analyse},
    experiment::recording::{read, read_all},
};

/// Durations of the two agents, in milliseconds, and the wall time of each run.
const RUNS: [(f64, f64, f64); 3] =
    [(800.0, 1000.0, 1001.0), (700.0, 1000.0, 1002.0), (900.0, 1000.0, 1001.5)];
/// Time to first token, in milliseconds.
const FIRST: f64 = 100.0;
const QUICK: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 99, seed: 1, window: 1.0, margin: 0.05 };

fn json(folder: &Path) {
    for (place, (collector, insight, wall)) in RUNS.iter().enumerate() {
        let agent = |id: &str, duration: f64, tokens: u32| {
            format!(
                r#"{{"id": "{id}", "base_url": "http://localhost:11434", "response": "x", "metrics": {{
                "tokens_generated": {tokens}, "ttft_ms": {FIRST}, "total_duration_ms": {duration},
                "eval_count": {tokens}, "eval_duration": 500000000, "prompt_eval_duration": 58004600}}}}"#
            )
        };
        let number = place + 1;
        let text = format!(
            r#"{{"run_number": {number}, "scenario": "chimera_homo", "collector": {},
            "insight": {}, "concurrent_wall_time_ms": {wall}, "efficiency_percent": {},
            "read_buffer_size": 8192}}"#,
            agent("collector", *collector, 40),
            agent("insight", *insight, 60),
            50.0 * (collector + insight) / wall,
        );
        fs::write(folder.join(format!("run_{number}.json")), text).unwrap();
    }
}

/// Chunks every 50 ms after the first token. `gap_ms` counts from the previous run, as in TR117's files.
fn chunks(folder: &Path) {
    let mut rows = Vec::new();
    for (place, (collector, insight, _)) in RUNS.iter().enumerate() {
        let began = 100.0 + 2.0 * place as f64;
        for (agent, duration) in [("collector", collector), ("insight", insight)] {
            let count = ((duration - FIRST) / 50.0) as u32;
            for index in 0..count {
                let at = began + (FIRST + 50.0 * f64::from(index)) / 1e3;
                let gap = match (place, index) {
                    (0, 0) => 0.0,
                    (_, 0) => 1234.5,
                    _ => 50.0,
                };
                rows.push((at, format!("{at:.4},{agent},{index},100,{gap:.4},0.0200\n")));
            }
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let text: String = rows.into_iter().map(|(_, row)| row).collect();
    let text = format!("timestamp,agent_id,chunk_index,bytes,gap_ms,parse_ms\n{text}");
    fs::write(folder.join(layout::CHUNKS), text).unwrap();
    let lag: String = (0..70).map(|place| format!("{:.3},2.5\n", 99.0 + 0.1 * f64::from(place))).collect();
    fs::write(folder.join(layout::LAG), format!("timestamp,lag_ms\n{lag}")).unwrap();
}

fn efficiencies(analysis: &Analysis) -> Vec<f64> {
    analysis.runs.iter().map(|run| run.overlap.unwrap().efficiency).collect()
}

fn expected() -> Vec<f64> {
    RUNS.iter().map(|(a, b, wall)| (a + b) / wall / 2.0).collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} and not {expected}");
    }
}

#[test]
fn tr117_runs_in_one_chunk_file_are_split_where_the_index_restarts() {
    let folder = TempDir::new().unwrap();
    chunks(folder.path());
    let recorded = read(folder.path()).unwrap();
    let analysis = analyse(&recorded.recording, &QUICK);
    assert_eq!(analysis.runs.len(), 3);
    for run in &analysis.runs {
        assert_eq!(run.agents, 2);
        assert!(run.wall < 1.0, "{}", run.wall);
        // The time between two runs is not a gap.
        assert!(run.gap.unwrap().max < 0.051, "{:?}", run.gap);
        assert!(run.lag.unwrap().n < 21, "{:?}", run.lag);
    }
}

#[test]
fn tr117_runs_combine_json_durations_with_csv_chunks_and_lag() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    chunks(folder.path());
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "gpu_metrics.csv: it is missing");
    assert_eq!(recorded.problems.len(), 1, "{:?}", recorded.problems);
    let condition = &recorded.recording.conditions[0];
    assert_eq!(
        (condition.language, &condition.remedies[..]),
        (Language::Python, &[Remedy::ReadBuffer(8192)][..])
    );
    let analysis = analyse(&recorded.recording, &QUICK);
    assert_near(&efficiencies(&analysis), &expected());
    let run = &analysis.runs[1];
    assert_eq!((run.id, run.tokens, run.wall), (2, 100, 1.002));
    assert_near(&[Measure::FirstToken.of(run).unwrap()], &[0.1]);
    // 40 and 60 tokens in half a second each.
    assert_near(&[run.reported_throughput.unwrap()], &[100.0]);
    assert!(run.chunks > 20 && run.gap.unwrap().max < 0.051 && run.lag.is_some(), "{run:?}");
}

#[test]
fn tr117_folder_with_only_json_runs_is_a_recording() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv: it is missing: the report has no gaps and no chunk rates");
    assert_near(&efficiencies(&analyse(&recorded.recording, &QUICK)), &expected());
}

#[test]
fn tr117_json_file_that_is_damaged_is_named_and_other_runs_are_read() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    let cut = fs::read_to_string(folder.path().join("run_2.json")).unwrap();
    fs::write(folder.path().join("run_2.json"), &cut[..cut.len() / 2]).unwrap();
    let third = fs::read_to_string(folder.path().join("run_3.json")).unwrap();
    let third = third.replacen("\"total_duration_ms\": 900", "\"total_duration_ms\": \"long\"", 1);
    fs::write(folder.path().join("run_3.json"), third).unwrap();
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "run_2.json:");
    assert_problem(&recorded, "run_3.json: agent collector has no duration: the run is left out");
    assert_near(&efficiencies(&analyse(&recorded.recording, &QUICK)), &expected()[..1]);
}

#[test]
fn tr117_chunks_that_do_not_match_json_runs_are_left_out() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    chunks(folder.path());
    fs::remove_file(folder.path().join("run_2.json")).unwrap();
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv: it has 3 runs, and there are 2 JSON files of runs");
    assert!(recorded.recording.chunks.is_empty() && recorded.recording.lag.is_empty());
    let both = expected();
    assert_near(&efficiencies(&analyse(&recorded.recording, &QUICK)), &[both[0], both[2]]);
}

#[test]
fn tr117_chunks_that_last_longer_than_their_json_run_are_left_out() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    chunks(folder.path());
    edit(folder.path(), "run_2.json", |text| {
        text.replace("\"total_duration_ms\": 1000", "\"total_duration_ms\": 300")
    });
    let recorded = read(folder.path()).unwrap();
    assert_problem(&recorded, "chunk_metrics.csv: insight of run 2 has chunks over 0.9 s");
    assert!(recorded.recording.chunks.is_empty() && recorded.recording.lag.is_empty());
}

#[test]
fn tr117_throttle_rate_is_pace_of_its_token_bucket() {
    let folder = TempDir::new().unwrap();
    json(folder.path());
    edit(folder.path(), "run_1.json", |text| {
        text.replace("\"read_buffer_size\": 8192", "\"throttle_rate\": 60")
    });
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.recording.conditions[0].remedies, [Remedy::LeakyPace(60.0)]);
}

#[test]
fn tr117_rust_output_is_read_with_summary_for_missing_run() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("phase2/agent_output");
    fs::create_dir_all(output.join("run_1")).unwrap();
    let agent = |seconds: f64| {
        format!(
            r#"{{"config": {{"model": "gemma3:latest"}}, "execution_time_s": {seconds}, "result":
            {{"aggregate_metrics": {{"average_ttft_ms": 511.4, "eval_duration_ms": 5000.0,
            "total_tokens_generated": 200}}}}}}"#
        )
    };
    let first = format!(
        r#"{{"collector": {}, "insight": {}, "run_number": 1, "summary": {{"concurrent_wall_time_s": 10.0}}}}"#,
        agent(9.0),
        agent(10.0)
    );
    fs::write(output.join("run_1/metrics.json"), first).unwrap();
    let summary = r#"{"runs": [{"run_number": 1, "concurrent_wall_time_s": 10.0, "concurrency_speedup": 1.9},
        {"run_number": 2, "concurrent_wall_time_s": 20.0, "concurrency_speedup": 1.6},
        {"run_number": 3, "concurrent_wall_time_s": 20.0, "concurrency_speedup": 2.5}]}"#;
    fs::write(output.join("summary.json"), summary).unwrap();
    let gpu = "timestamp,power.draw [W],utilization.gpu [%],memory.used [MiB]\n\
        2025/11/27 16:59:55.309, 50.00 W, 0 %, 9723 MiB\n2025/11/27 16:59:55.409, 150.00 W, 90 %, 9723 MiB\n";
    fs::write(folder.path().join("phase2").join(layout::GPU), gpu).unwrap();
    let recorded = read(&folder.path().join("phase2")).unwrap();
    assert_problem(
        &recorded,
        "agent_output/summary.json: the durations of run 2 are calculated from its speedup",
    );
    assert_problem(&recorded, "run 3 has a speedup of 2.5, which two agents cannot have");
    assert_eq!(recorded.recording.conditions[0].language, Language::Rust);
    let analysis = analyse(&recorded.recording, &QUICK);
    assert_near(&efficiencies(&analysis), &[0.95, 0.8]);
    let gpu = analysis.gpu.unwrap();
    assert_eq!((gpu.samples, gpu.watts.unwrap().mean, gpu.utilization.unwrap().max), (2, 100.0, 0.9));
}

#[test]
fn tr117_folder_above_several_recordings_means_all_of_them() {
    let folder = TempDir::new().unwrap();
    for name in ["phase1/default", "phase3/60tps"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        json(&folder.path().join(name));
    }
    let found = read_all(folder.path(), &Settings::default(), &mut |_| {}).unwrap();
    let names: Vec<&str> = found.iter().map(|recorded| recorded.name.as_str()).collect();
    assert_eq!(names, ["phase1/default", "phase3/60tps"]);
    assert_eq!(
        read_all(&folder.path().join("phase1/default"), &Settings::default(), &mut |_| {}).unwrap().len(),
        1
    );
    let empty = TempDir::new().unwrap();
    assert!(
        read_all(empty.path(), &Settings::default(), &mut |_| {})
            .unwrap_err()
            .to_string()
            .contains("holds no recording")
    );
}
