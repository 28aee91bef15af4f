//! Recordings made by hand, with their expected verdicts.

use crate::analysis::{
    Analysis, Answer, Chunk, Claim, Condition, Evidence, GpuSample, LagSample, Language, Measure, Probe,
    Remedy, RunKind, Settings, Verdict, analyse, statistic::pearson_within,
};

use super::model::{Draft, NOISE, condition};

/// The behaviour of a condition.
#[derive(Clone, Copy)]
struct Behaviour {
    runs: usize,
    wall: f64,
    lag: f64,
    chunks: usize,
}

const USUAL: Behaviour = Behaviour { runs: 6, wall: 12.0, lag: 0.016, chunks: 400 };

/// Adds a condition, its runs, and as many solo runs of 10 s.
fn add(draft: &mut Draft, condition: Condition, behaviour: Behaviour) {
    let name = condition.name.clone();
    draft.condition(condition);
    for repetition in 0..behaviour.runs {
        let noise = 1.0 + 0.002 * NOISE[repetition % 6];
        for role in ["a", "b"] {
            draft.run(&name, RunKind::Solo, &[(role, 500, 10.0 * noise)]);
        }
        let wall = behaviour.wall * noise;
        let run = draft.run(&name, RunKind::Together, &[("a", 500, wall), ("b", 500, 0.99 * wall)]);
        let began = draft.recording.runs.last().unwrap().started;
        for place in 0..behaviour.chunks {
            let gap = wall / behaviour.chunks as f64;
            let at = began + gap * place as f64;
            let chunk = Chunk {
                run,
                agent: place as u32 % 2,
                at,
                bytes: 100,
                records: 1,
                gap,
                parse: 2e-5,
                streams: 0,
            };
            draft.recording.chunks.push(chunk);
        }
        for place in 0..100 {
            let at = began + 0.1 * f64::from(place);
            let lag = behaviour.lag * noise * if place % 10 == 0 { 1.0 } else { 0.2 };
            draft.recording.lag.push(LagSample { run, process: 0, probe: Probe::Schedule, at, lag });
        }
    }
}

fn claim<'a>(analysis: &'a Analysis, id: &str) -> &'a Claim {
    analysis.claims.iter().find(|claim| claim.id == id).unwrap()
}

#[track_caller]
fn assert_verdict(analysis: &Analysis, id: &str, verdict: Verdict) {
    let claim = claim(analysis, id);
    assert_eq!(claim.verdict, verdict, "{}", claim.sentence());
}

/// Returns a recording with everything that TR117 claims, in which some claims hold and some do not.
fn everything() -> Draft {
    let mut draft = Draft::default();
    let (rust, python) = (Language::Rust, Language::Python);
    add(&mut draft, condition("rust", rust, &[], None), Behaviour { lag: 0.0002, wall: 11.9, ..USUAL });
    add(&mut draft, condition("python", python, &[], Some("rust")), USUAL);
    let mut treated = |name: &str, remedy, behaviour| {
        add(&mut draft, condition(name, python, &[remedy], Some("python")), behaviour);
    };
    treated("uvloop", Remedy::Uvloop, Behaviour { lag: 0.012, wall: 11.0, ..USUAL });
    treated("batches", Remedy::Batch(0.05), Behaviour { chunks: 60, wall: 12.5, ..USUAL });
    treated("64 KiB", Remedy::ReadBuffer(65536), Behaviour { chunks: 15, ..USUAL });
    treated("paced", Remedy::Pace(60.0), Behaviour { wall: 17.0, ..USUAL });
    draft.recording.gpu.push(GpuSample {
        at: 0.0,
        watts: 100.0,
        utilization: 0.5,
        memory: 1e9,
        pcie_received: 8e7,
        pcie_sent: f64::NAN,
        gpu: 0,
        energy: f64::NAN,
    });
    draft
}

#[test]
fn tr117_five_rows_give_correlation_of_minus_0_996_and_not_minus_0_94() {
    // Lag p99 in ms and efficiency in percent, from the table in TR117, 3.5.
    let lag = [16.13, 17.54, 15.89, 18.23, 16.41];
    let efficiency = [86.84, 85.91, 87.12, 85.34, 86.58];
    let found = pearson_within(&[(lag.to_vec(), efficiency.to_vec())], 0.95).unwrap();
    assert_eq!(format!("{:.3}", found.r), "-0.996");
}

#[test]
fn claim_is_compared_with_the_measurement() {
    let analysis = analyse(&everything().recording, &Settings::default());
    assert_verdict(&analysis, "python_ceiling", Verdict::Refuted);
    assert_verdict(&analysis, "efficiency_is_gain", Verdict::Refuted);
    assert_verdict(&analysis, "rust_efficiency", Verdict::Supported);
    assert_verdict(&analysis, "rust_gain", Verdict::Refuted);
    assert_verdict(&analysis, "slower_is_faster", Verdict::Refuted);
    assert_verdict(&analysis, "uvloop", Verdict::Supported);
    assert_verdict(&analysis, "batching", Verdict::Supported);
    assert_verdict(&analysis, "buffer_efficiency", Verdict::Supported);
    assert_verdict(&analysis, "buffer_chunks", Verdict::Refuted);
    assert_verdict(&analysis, "parse_time", Verdict::Supported);
    assert_verdict(&analysis, "pcie", Verdict::Supported);
    assert_verdict(&analysis, "tokenizer", Verdict::Undecided);
    assert_verdict(&analysis, "rust_mandatory", Verdict::Undecided);
    assert_eq!(analysis.pcie_peak, Some(8e7));
}

#[test]
fn advice_names_the_remedy_that_helped_and_effect_of_each() {
    let analysis = analyse(&everything().recording, &Settings::default());
    let advice = &analysis.advice;
    assert!(advice.recommendation.starts_with("Use uvloop"), "{}", advice.recommendation);
    let helped = |name: &str| advice.remedies.iter().find(|effect| effect.condition == name).unwrap().helped;
    assert_eq!(helped("uvloop"), Answer::Yes);
    assert_eq!(helped("paced"), Answer::No);
    assert_eq!(advice.remedies[0].condition, "uvloop");
    let lag = advice.remedies[0].costs.iter().find(|cost| cost.measure == Measure::LagP99).unwrap();
    assert!((lag.difference + 0.004).abs() < 1e-4, "{}", lag.sentence());
    // 20 s of work take 12 s: running together is faster.
    assert_eq!(advice.steps[0].answer, Answer::Yes, "{}", advice.steps[0].because);
    assert!(advice.sentences().len() > 5);
}

#[test]
fn analysis_of_three_runs_gives_no_p_and_says_how_many_are_needed() {
    let mut draft = Draft::default();
    let few = Behaviour { runs: 3, ..USUAL };
    add(&mut draft, condition("python", Language::Python, &[], None), few);
    let faster = Behaviour { wall: 11.0, ..few };
    add(&mut draft, condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python")), faster);
    let analysis = analyse(&draft.recording, &Settings::default());
    let gain = analysis.comparison("uvloop", Measure::TrueEfficiency).unwrap();
    assert_eq!(gain.evidence, Evidence::TooFew { have: 3, need: 4 });
    assert!(gain.permutation.is_none() && gain.interval.is_some());
    assert_eq!(analysis.advice.remedies[0].helped, Answer::Unknown);
    assert!(!analysis.advice.undecided.is_empty());
}

#[test]
fn analysis_of_empty_recording_decides_nothing_and_says_so() {
    let analysis = analyse(&Draft::default().recording, &Settings::default());
    assert!(analysis.claims.iter().all(|claim| claim.verdict == Verdict::Undecided));
    assert_eq!(analysis.advice.recommendation, "No run is known, so there is nothing to compare.");
    assert!(analysis.comparisons.is_empty() && analysis.model.is_none());
}

#[test]
fn analysis_names_data_missing_in_recording() {
    let mut draft = Draft::default();
    draft.condition(condition("alone", Language::Rust, &[], None));
    draft.run("alone", RunKind::Together, &[("a", 10, 1.0), ("b", 10, 2.0)]);
    let failed = draft.run("alone", RunKind::Together, &[("a", 10, 1.0), ("b", 10, 2.0)]);
    draft.recording.agents.last_mut().unwrap().failure = Some("connection refused".into());
    draft.run("nowhere", RunKind::Together, &[("a", 10, 1.0)]);
    draft.run("alone", RunKind::Together, &[]);
    let analysis = analyse(&draft.recording, &Settings::default());
    assert_eq!(
        analysis.notes,
        [
            "run 3 is left out: it has no agent with a duration",
            "run 2 is of condition nowhere, which does not exist",
            "run 1 counts as failed: agent 1 (b): connection refused",
            "1 of 2 runs of alone failed: its figures are those of the other runs alone",
            "alone has no solo runs, and so no true speedup",
        ]
    );
    let summary = analysis.runs.iter().find(|run| run.id == failed).unwrap();
    assert!(summary.overlap.is_none() && summary.throughput.is_none());
    let whole = &analysis.runs[0];
    assert_eq!((whole.wall, whole.balance), (2.0, Some(0.5)));
    assert!(whole.overlap.unwrap().efficiency == 0.75 && !whole.overlap.unwrap().contention);
}

#[test]
fn analysis_reports_agents_with_different_token_counts_alone() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Rust, &[], None));
    draft.run("pair", RunKind::Solo, &[("a", 100, 1.0)]);
    draft.run("pair", RunKind::Together, &[("a", 150, 1.5), ("a", 150, 1.5)]);
    let analysis = analyse(&draft.recording, &Settings::default());
    assert_eq!(
        analysis.notes,
        ["a of pair made 150 tokens together and 100 alone: its true speedup compares different work"]
    );
}

#[test]
fn analysis_ignores_warm_up() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Rust, &[], None));
    draft.run("pair", RunKind::Together, &[("a", 10, 100.0)]);
    draft.recording.runs[0].warm_up = true;
    draft.run("pair", RunKind::Together, &[("a", 10, 1.0)]);
    let analysis = analyse(&draft.recording, &Settings::default());
    assert_eq!(analysis.runs.len(), 1);
    assert_eq!(analysis.conditions[0].values(Measure::Wall), [1.0]);
}

#[test]
fn analysis_of_series_has_scaling_curve_with_solo_runs_as_one() {
    let mut draft = Draft::default();
    for agents in [2_usize, 4, 8, 16] {
        let name = format!("{agents} agents");
        let series = Some("scaling".into());
        draft.condition(Condition { series, ..condition(&name, Language::Rust, &[], None) });
        for repetition in 0..3 {
            let noise = 1.0 + 0.001 * f64::from(repetition);
            let throughput = |n: f64| 100.0 * n / (1.0 + 0.05 * (n - 1.0) + 0.004 * n * (n - 1.0));
            draft.run(&name, RunKind::Solo, &[("a", 1000, 10.0 * noise)]);
            let wall = 1000.0 * agents as f64 / throughput(agents as f64) * noise;
            draft.run(&name, RunKind::Together, &vec![("a", 1000, wall); agents]);
        }
    }
    let analysis = analyse(&draft.recording, &Settings::default());
    let scaling = analysis.series[0].scaling.unwrap();
    assert_eq!(scaling.n, 24);
    assert!(
        (scaling.contention.value - 0.05).abs() < 0.002 && (scaling.coherency.value - 0.004).abs() < 2e-4
    );
    let peak = scaling.peak.unwrap();
    assert!(peak.seen && peak.interval.contains((0.95_f64 / 0.004).sqrt()), "{peak:?}");
    assert!(
        analysis.advice.steps.iter().any(|step| step.answer == Answer::Yes && step.because.contains("peaks"))
    );
    // Each of 16 agents is slower than each of 2, but together they have the most throughput.
    let told = &analysis.advice.recommendation;
    assert!(
        told.starts_with(
            "scaling: of 1, 2, 4, 8, 16 agents, 16 had the highest throughput, 590 tok/s, 5.9 times"
        ),
        "{told}"
    );
}

#[test]
fn analysis_of_same_recording_is_the_same() {
    let draft = everything();
    let once = serde_json::to_string(&analyse(&draft.recording, &Settings::default())).unwrap();
    let again = serde_json::to_string(&analyse(&draft.recording, &Settings::default())).unwrap();
    assert_eq!(once, again);
}

#[test]
fn recording_in_which_every_run_failed_says_so_and_names_the_first_failure() {
    let mut draft = Draft::default();
    for name in ["two", "four"] {
        draft.condition(condition(name, Language::Rust, &[], None));
        for _ in 0..8 {
            draft.run(name, RunKind::Together, &[("a", 10, 1.0), ("b", 10, 2.0)]);
        }
    }
    draft.recording.agents.iter_mut().for_each(|agent| agent.failure = Some("503: the queue is full".into()));
    let analysis = analyse(&draft.recording, &Settings::default());
    assert_eq!(
        analysis.advice.recommendation,
        "Each of the 16 concurrent runs failed, so there is nothing to compare. The first failure: agent 0 (a): 503: the \
         queue is full."
    );
    let named = analysis.notes.iter().filter(|note| note.contains("counts as failed")).count();
    assert_eq!(named, 10);
    assert!(
        analysis.notes.iter().any(|note| note.starts_with("22 more agents failed")),
        "{:?}",
        analysis.notes
    );
}

#[test]
fn recording_of_one_condition_of_rust_agents_says_what_ran_and_asks_nothing_about_python() {
    let mut draft = Draft::default();
    add(&mut draft, condition("pair", Language::Rust, &[], None), USUAL);
    let analysis = analyse(&draft.recording, &Settings::default());
    assert_eq!(
        analysis.advice.recommendation,
        "Only one condition ran: 2 agents of pair made 83.3 tok/s together, and nothing is compared."
    );
    assert!(analysis.advice.undecided.is_empty(), "{:?}", analysis.advice.undecided);
    // TR117's claims about lag are about Python's event loop.
    for id in ["lag_explains_efficiency", "lag_follows_chunks", "regression"] {
        assert_verdict(&analysis, id, Verdict::Undecided);
        assert_eq!(claim(&analysis, id).because, "No Python agents ran together.");
    }
}
