//! Many comparisons at once.

use crate::analysis::{Language, Measure, Remedy, analyse, statistic::Random};

use super::{super::model::Draft, QUICK, alone, condition, normal, pair};

/// Returns a recording of nine remedies with eight runs each. Remedy 4 shortens its runs by the share `gain`, and the
/// other remedies change nothing.
fn nine(gain: f64, random: &mut Random) -> Draft {
    let mut draft = Draft::default();
    draft.condition(condition("python", Language::Python, &[], None));
    let names: Vec<String> = (0..9).map(|place| format!("remedy {place}")).collect();
    for name in &names {
        draft.condition(condition(name, Language::Python, &[Remedy::Orjson], Some("python")));
    }
    for _ in 0..8 {
        alone(&mut draft, "python", 10.0);
        pair(&mut draft, "python", 15.0 * (1.0 + 0.05 * normal(random)));
        for (place, name) in names.iter().enumerate() {
            let gain = if place == 4 { gain } else { 0.0 };
            pair(&mut draft, name, 15.0 * (1.0 - gain) * (1.0 + 0.05 * normal(random)));
        }
    }
    draft
}

#[test]
fn planted_gain_of_the_size_that_was_promised_is_found_among_nine_remedies_as_often_as_promised() {
    let mut random = Random::new(11);
    // The power that the report promises for this noise, on average.
    let promised = (0..10).map(|_| {
        let analysis = analyse(&nine(0.0, &mut random).recording, &QUICK);
        let seen = analysis.comparison("remedy 4", Measure::TrueEfficiency).unwrap().detectable.unwrap();
        seen / analysis.conditions[0].mean(Measure::TrueEfficiency).unwrap().value
    });
    let promised = promised.sum::<f64>() / 10.0;
    let experiments = 60;
    let found = (0..experiments).filter(|_| {
        let analysis = analyse(&nine(promised / (1.0 + promised), &mut random).recording, &QUICK);
        let gain = analysis.comparison("remedy 4", Measure::TrueEfficiency).unwrap();
        gain.evidence.found(0.05)
    });
    let found = found.count() as f64 / f64::from(experiments);
    assert!((0.62..=0.95).contains(&found), "found {found} of differences of {promised}");
}

#[test]
fn no_remedy_is_recommended_more_often_than_promised_where_none_helps() {
    let mut random = Random::new(12);
    let experiments = 60;
    let recommended = (0..experiments).filter(|_| {
        let analysis = analyse(&nine(0.0, &mut random).recording, &QUICK);
        analysis.advice.recommendation.starts_with("Use")
    });
    let recommended = recommended.count();
    assert!(recommended <= 8, "{recommended} of {experiments}");
}

#[test]
fn unrelated_recordings_do_not_weaken_each_others_findings() {
    let p = |copies: usize| {
        let mut draft = nine(0.1, &mut Random::new(13));
        for copy in 1..copies {
            let other = nine(0.0, &mut Random::new(13 + copy as u64));
            draft.append(&format!("copy {copy}"), other);
        }
        let analysis = analyse(&draft.recording, &QUICK);
        analysis.comparison("remedy 4", Measure::TrueEfficiency).unwrap().evidence.p().unwrap()
    };
    assert_eq!(p(3), p(1));
}

#[test]
fn measures_that_decide_nothing_do_not_weaken_the_findings_of_those_that_do() {
    let p = |with_chunks: bool| {
        let mut random = Random::new(13);
        let mut draft = nine(0.1, &mut random);
        for run in 0..if with_chunks { draft.recording.runs.len() as u32 } else { 0 } {
            draft.chunks(run, 0.0, 0.01, 500 + random.below(100));
        }
        let analysis = analyse(&draft.recording, &QUICK);
        let p = |measure| analysis.comparison("remedy 4", measure)?.evidence.p();
        (p(Measure::TrueEfficiency), p(Measure::ChunksPerSecond).is_some())
    };
    let ((alone, _), (beside, has_chunks)) = (p(false), p(true));
    assert!(has_chunks && alone.is_some());
    assert_eq!(alone, beside);
}

#[test]
fn intervals_are_corrected_as_their_p_values_are() {
    for seed in 0..5 {
        let analysis = analyse(&nine(0.09, &mut Random::new(100 + seed)).recording, &QUICK);
        for comparison in &analysis.comparisons {
            let (Some(interval), Some(_)) = (comparison.interval, comparison.evidence.p()) else { continue };
            let found = comparison.evidence.found(0.05);
            assert_eq!(found, !interval.contains(0.0), "{}", comparison.sentence());
        }
    }
}
