//! Runs that failed.

use crate::analysis::{
    Agent, LagSample, Language, Measure, Probe, Remedy, RunKind, analyse, statistic::Random,
};

use super::{super::model::Draft, NOISE, QUICK, alone, condition, few, json, normal, pair};

#[test]
fn remedy_of_which_half_the_runs_failed_is_not_recommended() {
    let mut draft = Draft::default();
    draft.condition(condition("python", Language::Python, &[], None));
    draft.condition(condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python")));
    for noise in few(&NOISE) {
        alone(&mut draft, "python", 10.0 * noise);
        pair(&mut draft, "python", 16.0 * noise);
        alone(&mut draft, "uvloop", 10.0 * noise);
        pair(&mut draft, "uvloop", 12.0 * noise);
        // One agent was refused, and the other had the Ollama for itself.
        draft.run("uvloop", RunKind::Together, &[("a", 500, 5.0 * noise), ("b", 0, 0.1)]);
        draft.recording.agents.last_mut().unwrap().failure = Some("503: the queue is full".into());
    }
    let analysis = analyse(&draft.recording, &QUICK);
    let advice = &analysis.advice;
    assert!(!advice.recommendation.starts_with("Use"), "{}", advice.recommendation);
    assert!(advice.recommendation.contains("6 of 12 runs failed"), "{}", advice.recommendation);
    let uvloop = &json(&analysis)["conditions"][1];
    assert_eq!((uvloop["failed"].as_u64(), uvloop["runs"].as_u64()), (Some(6), Some(6)));
}

#[test]
fn setting_of_which_half_the_runs_failed_is_not_called_better_alone() {
    let mut draft = Draft::default();
    draft.condition(condition("a", Language::Rust, &[], None));
    draft.condition(condition("b", Language::Rust, &[], Some("a")));
    for noise in few(&NOISE) {
        for (name, wall) in [("a", 16.0), ("b", 12.0)] {
            alone(&mut draft, name, 10.0 * noise);
            pair(&mut draft, name, wall * noise);
        }
        draft.run("b", RunKind::Together, &[("a", 500, 5.0 * noise), ("b", 0, 0.1)]);
        draft.recording.agents.last_mut().unwrap().failure = Some("503: the queue is full".into());
    }
    let told = analyse(&draft.recording, &QUICK).advice.recommendation;
    let failing = "b: 6 of 12 runs failed, against 0 of 6 runs of a, so it cannot be recommended; of the runs that \
                   succeeded, b is better than a in true efficiency: ";
    assert!(told.starts_with(failing), "{told}");
}

#[test]
fn remedy_is_recommended_if_few_runs_failed_or_as_many_as_of_the_baseline() {
    // Returns whether a remedy is recommended if so many of its 12 runs, and of those of the baseline, failed.
    let recommended = |of_remedy: usize, of_baseline: usize| {
        let mut draft = Draft::default();
        draft.condition(condition("python", Language::Python, &[], None));
        draft.condition(condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python")));
        for (place, noise) in few(&[NOISE, NOISE].concat()).enumerate() {
            alone(&mut draft, "python", 10.0 * noise);
            for (name, wall, failed) in [("python", 16.0, of_baseline), ("uvloop", 12.0, of_remedy)] {
                pair(&mut draft, name, wall * noise);
                if place < failed {
                    draft.recording.agents.last_mut().unwrap().failure = Some("reset".into());
                }
            }
        }
        analyse(&draft.recording, &QUICK).advice.recommendation.starts_with("Use uvloop")
    };
    assert!(recommended(0, 0) && recommended(1, 1) && recommended(2, 2));
    assert!(!recommended(1, 0) && !recommended(2, 1));
}

#[test]
fn what_a_failed_run_left_enters_no_mean() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Rust, &[], None));
    for noise in few(&NOISE) {
        for failed in [false, true] {
            let run = pair(&mut draft, "pair", 10.0 * noise);
            let gap = if failed { 0.01 } else { 0.02 };
            draft.chunks(run, 0.0, gap, 10);
            let agent = draft.recording.agents.iter_mut().rev().nth(1).unwrap();
            agent.first_token = Some(gap);
            if failed {
                draft.recording.agents.last_mut().unwrap().failure = Some("connection refused".into());
            }
        }
    }
    let analysis = analyse(&draft.recording, &QUICK);
    for measure in [Measure::GapP50, Measure::FirstToken, Measure::ChunksPerSecond, Measure::Wall] {
        assert_eq!(analysis.conditions[0].values(measure).len(), 6, "{measure:?}");
    }
    assert_eq!(analysis.conditions[0].mean(Measure::GapP50).unwrap().value, 0.02);
}

#[test]
fn failed_run_enters_no_relation_between_measures() {
    let of = |fails: bool| {
        let mut draft = Draft::default();
        let mut random = Random::new(61);
        draft.condition(condition("pair", Language::Python, &[], None));
        for place in 0..if fails { 10 } else { 8 } {
            let run = pair(&mut draft, "pair", 10.0 * (1.0 + 0.01 * normal(&mut random)));
            // The failed runs have far more chunks, and a far longer lag.
            let far = if place < 8 { 1.0 } else { 10.0 };
            draft.chunks(run, 0.0, 0.001, 400 * far as u32 + random.below(100));
            let lag = 0.01 * far * (1.0 + 0.1 * normal(&mut random));
            let sample = |at| LagSample { run, process: 0, probe: Probe::Schedule, at, lag };
            draft.recording.lag.extend([1.0, 2.0, 3.0].map(sample));
            if place >= 8 {
                draft.recording.agents.last_mut().unwrap().failure = Some("connection refused".into());
            }
        }
        let analysis = analyse(&draft.recording, &QUICK);
        let is_asked = |found: &&crate::analysis::Relation| {
            (found.left, found.right) == (Measure::LagP99, Measure::ChunksPerSecond)
        };
        let found = analysis.relations.iter().find(is_asked).unwrap();
        (found.pearson.n, found.pearson.r, analysis.matrix.rows.clone())
    };
    let whole = of(false);
    assert_eq!(whole.0, 8);
    assert_eq!(of(true), whole);
}

#[test]
fn run_with_missing_repeated_or_impossible_agents_is_named_and_left_out() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Rust, &[], None));
    for noise in few(&NOISE) {
        pair(&mut draft, "pair", 10.0 * noise);
    }
    let missing = pair(&mut draft, "pair", 10.0);
    draft.recording.agents.pop();
    let repeated = pair(&mut draft, "pair", 10.0);
    let again = Agent { duration: 20.0, ..draft.recording.agents.last().unwrap().clone() };
    draft.recording.agents.push(again);
    let nan = pair(&mut draft, "pair", 10.0);
    draft.recording.agents.last_mut().unwrap().duration = f64::NAN;
    let longer = pair(&mut draft, "pair", 10.0);
    draft.recording.runs.last_mut().unwrap().wall = Some(9.0);
    let analysis = analyse(&draft.recording, &QUICK);
    assert_eq!(analysis.runs.len(), 6, "{:?}", analysis.runs.iter().map(|run| run.id).collect::<Vec<_>>());
    for (run, what) in [
        (missing, "has 1 agent, and the other runs of pair have 2"),
        (repeated, "has agent 1 twice"),
        (nan, "agent 1 has no duration"),
        (longer, "agent 0 took 10.00 s, and the run took only 9.00 s"),
    ] {
        let found =
            analysis.notes.iter().any(|note| note.contains(&format!("run {run}")) && note.contains(what));
        assert!(found, "{what} is not in {:#?}", analysis.notes);
    }
}
