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

/// Writes the runs of a folder with this setting, which is a field of their JSON files.
fn phase(folder: &Path, name: &str, setting: &str) {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    json(&folder);
    for run in 1..=RUNS.len() {
        edit(&folder, &format!("run_{run}.json"), |text| text.replace("\"read_buffer_size\": 8192", setting));
    }
}

/// Returns the conditions of a suite, each with its baseline.
fn baselines(folder: &Path) -> Vec<(String, Option<String>)> {
    let found = read_all(folder, &QUICK, &mut |_| {}).unwrap();
    let [suite] = found.as_slice() else { panic!("{} recordings are not one", found.len()) };
    suite.recording.conditions.iter().map(|found| (found.name.clone(), found.baseline.clone())).collect()
}

#[test]
fn tr117_folders_of_one_suite_are_conditions_that_are_compared_with_the_agents_without_a_setting() {
    let folder = TempDir::new().unwrap();
    let nothing = "\"read_buffer_size\": null";
    phase(folder.path(), "phase1/gemma/buf65536", "\"read_buffer_size\": 65536");
    phase(folder.path(), "phase1/gemma/default", nothing);
    phase(folder.path(), "phase3/gemma/60tps", "\"throttle_rate\": 60.0");
    phase(folder.path(), "phase3/qwen/60tps", "\"throttle_rate\": 60.0");
    let pair = |name: &str, baseline: Option<&str>| (name.to_owned(), baseline.map(str::to_owned));
    let default = Some("phase1/gemma/default");
    assert_eq!(
        baselines(folder.path()),
        [
            pair("phase1/gemma/buf65536", default),
            pair("phase1/gemma/default", None),
            pair("phase3/gemma/60tps", default),
            // Without a control of its model, a condition is compared with the first of its phase.
            pair("phase3/qwen/60tps", Some("phase3/gemma/60tps")),
        ]
    );
    // The same holds for a part of the suite.
    assert_eq!(
        baselines(&folder.path().join("phase1")),
        [pair("gemma/buf65536", Some("gemma/default")), pair("gemma/default", None)]
    );
    let suite = read_all(folder.path(), &QUICK, &mut |_| {}).unwrap().remove(0);
    assert_problem(&suite, "phase1/gemma/default/chunk_metrics.csv: it is missing");
    let analysis = analyse(&suite.recording, &QUICK);
    assert_eq!(analysis.runs.len(), 4 * RUNS.len());
    let compared = analysis.comparison("phase3/gemma/60tps", Measure::OverlapEfficiency).unwrap();
    assert_eq!(compared.difference, 0.0);
    for id in ["slower_is_faster", "buffer_efficiency"] {
        let claim = analysis.claims.iter().find(|claim| claim.id == id).unwrap();
        assert!(claim.because.contains("against phase1/gemma/default"), "{}", claim.because);
    }
}

#[test]
fn tr117_folder_without_a_recording_below_it_is_refused() {
    let empty = TempDir::new().unwrap();
    let refused = read_all(empty.path(), &Settings::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("holds no recording"), "{refused}");
    let folder = TempDir::new().unwrap();
    phase(folder.path(), "phase1/default", "\"read_buffer_size\": null");
    let only = read_all(&folder.path().join("phase1/default"), &Settings::default(), &mut |_| {}).unwrap();
    assert_eq!((only.len(), only[0].recording.conditions[0].baseline.as_deref()), (1, None));
}

/// Writes five runs of Rust agents into a folder.
fn phase_of_rust(folder: &Path, name: &str) {
    let output = folder.join(name).join("agent_output");
    fs::create_dir_all(&output).unwrap();
    let run = |run: u32| {
        format!(r#"{{"run_number": {run}, "concurrent_wall_time_s": 10.0, "concurrency_speedup": 1.9{run}}}"#)
    };
    let rows: Vec<String> = (1..=5).map(run).collect();
    fs::write(output.join("summary.json"), format!("{{\"runs\": [{}]}}", rows.join(","))).unwrap();
}

#[test]
fn tr117_rust_agents_are_compared_with_the_first_model_of_their_own_phase_only() {
    let folder = TempDir::new().unwrap();
    for name in ["phase2/gemma", "phase2/qwen", "phase4/qwen"] {
        phase_of_rust(folder.path(), name);
    }
    let pair = |name: &str, baseline: Option<&str>| (name.to_owned(), baseline.map(str::to_owned));
    assert_eq!(
        baselines(folder.path()),
        [
            pair("phase2/gemma", None),
            pair("phase2/qwen", Some("phase2/gemma")),
            // The same model in another phase is no control.
            pair("phase4/qwen", None),
        ]
    );
}

#[test]
fn tr117_rust_agents_are_no_control_of_python_agents_and_no_plan_is_named() {
    let folder = TempDir::new().unwrap();
    phase(folder.path(), "phase1/gemma/default", "\"read_buffer_size\": null");
    phase_of_rust(folder.path(), "phase2/gemma");
    let suite = read_all(folder.path(), &QUICK, &mut |_| {}).unwrap().remove(0);
    let analysis = analyse(&suite.recording, &QUICK);
    for id in ["python_ceiling", "rust_gain"] {
        let because = &analysis.claims.iter().find(|claim| claim.id == id).unwrap().because;
        let said = "The Rust agents of phase2/gemma sent other prompts than TR117's Python agents";
        assert!(because.contains(said) && !because.contains("plan.toml"), "{because}");
    }
    assert!(analysis.comparisons.is_empty(), "{:?}", analysis.comparisons);
}
