//! Relations between measures, within conditions and between them.

use crate::analysis::{
    LagSample, Language, Measure, Probe, Remedy, RunKind, Verdict, analyse, statistic::Random,
};

use super::{super::model::Draft, NOISE, QUICK, condition, few, normal, pair};

/// Returns a recording in which lag and efficiency are unrelated within each condition, and both differ between the
/// conditions.
fn simpson() -> Draft {
    let mut draft = Draft::default();
    let (mut random, mut random_chunks) = (Random::new(21), Random::new(22));
    for (name, lag, even) in [("one", 0.002, 0.98), ("two", 0.010, 0.88), ("three", 0.018, 0.78)] {
        draft.condition(condition(name, Language::Python, &[], None));
        for _ in 0..8 {
            let even = even + 0.01 * normal(&mut random);
            let run = draft.run(name, RunKind::Together, &[("a", 500, 10.0), ("b", 500, 10.0 * even)]);
            draft.chunks(run, 0.0, 0.01, 500 + random_chunks.below(100));
            for place in 0..50 {
                let lag = lag * (1.0 + 0.1 * normal(&mut random));
                draft.recording.lag.push(LagSample {
                    run,
                    process: 0,
                    probe: Probe::Schedule,
                    at: 0.1 * f64::from(place),
                    lag,
                });
            }
        }
    }
    draft
}

#[test]
fn relation_that_exists_between_conditions_only_is_not_reported_as_one() {
    let analysis = analyse(&simpson().recording, &QUICK);
    let pooled = analysis
        .relations
        .iter()
        .find(|found| found.left == Measure::LagP99 && found.right == Measure::OverlapEfficiency)
        .unwrap();
    assert!(pooled.pearson.r.abs() < 0.5, "{}", pooled.pearson.r);
    assert!(!pooled.evidence.found(0.05));
    let claim = analysis.claims.iter().find(|claim| claim.id == "lag_explains_efficiency").unwrap();
    assert_eq!(claim.verdict, Verdict::Refuted, "{}", claim.sentence());
    let slope = analysis.model.as_ref().unwrap().fit.coefficients[1];
    assert!(slope.interval.contains(0.0), "{slope:?}");
    let lag = analysis.matrix.measures.iter().position(|measure| *measure == Measure::LagP99).unwrap();
    let efficiency =
        analysis.matrix.measures.iter().position(|measure| *measure == Measure::OverlapEfficiency).unwrap();
    assert!(analysis.matrix.rows[lag][efficiency].unwrap().abs() < 0.5);
}

#[test]
fn ceiling_of_python_needs_agents_in_another_language_that_are_above_it() {
    let ceiling = |rust: Option<f64>| {
        let mut draft = Draft::default();
        if let Some(even) = rust {
            draft.condition(condition("rust", Language::Rust, &[], None));
            for noise in few(&NOISE) {
                draft.run("rust", RunKind::Together, &[("a", 500, 10.0), ("b", 500, 10.0 * even * noise)]);
            }
        }
        let baseline = rust.map(|_| "rust");
        draft.condition(condition("python", Language::Python, &[], baseline));
        for noise in few(&NOISE) {
            draft.run("python", RunKind::Together, &[("a", 500, 10.0), ("b", 500, 7.2 * noise)]);
        }
        let analysis = analyse(&draft.recording, &QUICK);
        analysis.claims.iter().find(|claim| claim.id == "python_ceiling").unwrap().verdict
    };
    assert_eq!(ceiling(None), Verdict::Undecided);
    assert_eq!(ceiling(Some(0.5)), Verdict::Undecided);
    assert_eq!(ceiling(Some(0.72)), Verdict::Undecided);
    assert_eq!(ceiling(Some(0.96)), Verdict::Supported);
}

#[test]
fn control_that_ran_and_is_not_compared_is_named_and_not_called_missing() {
    let because = |rust: Option<Language>, fails: bool| {
        let mut draft = Draft::default();
        draft.condition(condition("python", Language::Python, &[], None));
        draft.condition(condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python")));
        draft.condition(condition("other", rust.unwrap_or_default(), &[], None));
        for noise in few(&NOISE) {
            for name in ["python", "uvloop"] {
                draft.run(name, RunKind::Together, &[("a", 500, 10.0), ("b", 500, 7.2 * noise)]);
            }
            if rust.is_some() {
                draft.run("other", RunKind::Together, &[("a", 500, 10.0), ("b", 500, 7.2 * noise)]);
                draft.recording.agents.last_mut().unwrap().failure = fails.then(|| "503".into());
            }
        }
        let analysis = analyse(&draft.recording, &QUICK);
        analysis.claims.iter().find(|claim| claim.id == "python_ceiling").unwrap().because.clone()
    };
    let ran = because(Some(Language::Rust), false);
    assert!(ran.contains("The Rust agents of other would be a control, but no Python condition"), "{ran}");
    let failed = because(Some(Language::Rust), true);
    assert!(failed.contains("Every run of the Rust agents of other failed"), "{failed}");
    for none in [because(None, false), because(Some(Language::Python), false)] {
        assert!(none.contains("No agents in another language ran together"), "{none}");
    }
}

#[test]
fn claim_about_conditions_is_judged_by_the_relation_between_them() {
    // Five conditions with more and more chunks per second. Within each, lag and chunks are unrelated.
    let claim = |lag_of: fn(f64) -> f64| {
        let mut draft = Draft::default();
        let (mut random, mut random_chunks) = (Random::new(23), Random::new(24));
        for place in 0..5_u32 {
            let name = format!("{place}");
            draft.condition(condition(&name, Language::Python, &[], None));
            for _ in 0..6 {
                let run = pair(&mut draft, &name, 10.0);
                draft.chunks(run, 0.0, 0.001, 400 * (place + 1) + random_chunks.below(40));
                let lag = lag_of(f64::from(place)) * (1.0 + 0.05 * normal(&mut random));
                draft.recording.lag.extend((0..20).map(|at| LagSample {
                    run,
                    process: 0,
                    probe: Probe::Schedule,
                    at: 0.1 * f64::from(at),
                    lag,
                }));
            }
        }
        let analysis = analyse(&draft.recording, &QUICK);
        analysis.claims.iter().find(|claim| claim.id == "lag_follows_chunks").unwrap().clone()
    };
    // r is near 0.92 and beyond chance.
    let wavy = claim(|place| 0.01 + 0.002 * place + 0.002 * (2.0 * place).sin());
    assert!(
        wavy.because.starts_with("Between 5 conditions, r = 0.94 (95 % interval 0.32 to 1.00). Within"),
        "{}",
        wavy.because
    );
    assert_eq!(wavy.verdict, Verdict::Supported, "{}", wavy.sentence());
    let falling = claim(|place| 0.02 - 0.002 * place);
    assert_eq!(falling.verdict, Verdict::Refuted, "{}", falling.sentence());
}
