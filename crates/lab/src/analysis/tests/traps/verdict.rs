//! Comparisons that need a verdict.

use crate::analysis::{Answer, Language, Remedy, analyse, statistic::Random};

use super::{super::model::Draft, NOISE, QUICK, alone, condition, few, json, normal, pair};

#[test]
fn plain_comparison_of_two_settings_has_a_verdict() {
    let verdict = |factor: f64, spread: f64, runs: usize| {
        let mut draft = Draft::default();
        let mut random = Random::new(41);
        draft.condition(condition("a", Language::Rust, &[], None));
        draft.condition(condition("b", Language::Rust, &[], None));
        for _ in 0..runs {
            for (name, factor) in [("a", 1.0), ("b", factor)] {
                pair(&mut draft, name, 10.0 * factor * (1.0 + spread * normal(&mut random)));
            }
        }
        let analysis = analyse(&draft.recording, &QUICK);
        let json = json(&analysis);
        let mut rows = json["comparisons"].as_array().unwrap().iter();
        let row = rows.rfind(|row| row["measure"] == "throughput");
        let row = row.expect("the first condition is the baseline").clone();
        assert!(analysis.advice.recommendation.contains('b'), "{}", analysis.advice.recommendation);
        (row["verdict"].as_str().unwrap_or_default().to_owned(), row["more_runs"].as_u64())
    };
    assert_eq!(verdict(0.8, 0.02, 8), ("better".into(), None));
    assert_eq!(verdict(1.25, 0.02, 8), ("worse".into(), None));
    assert_eq!(verdict(1.0, 0.005, 8), ("equivalent".into(), None));
    let (undecided, more) = verdict(1.02, 0.06, 8);
    assert_eq!(undecided, "undecided");
    assert!(more.is_some_and(|more| (5..200).contains(&more)), "{more:?}");
}

#[test]
fn many_settings_have_a_verdict_that_names_the_decided_ones_first() {
    let mut draft = Draft::default();
    let mut random = Random::new(43);
    let settings = [("a", 1.0, 0.02), ("b", 1.02, 0.3), ("c", 1.02, 0.3), ("d", 1.02, 0.3), ("e", 0.7, 0.02)];
    for (name, ..) in settings {
        draft.condition(condition(name, Language::Rust, &[], None));
    }
    for _ in 0..8 {
        for (name, factor, spread) in settings {
            pair(&mut draft, name, 10.0 * factor * (1.0 + spread * normal(&mut random)));
        }
    }
    let said = analyse(&draft.recording, &QUICK).advice.recommendation;
    assert!(said.starts_with("e is better than a in "), "{said}");
    assert!(said.ends_with(". b, c and d are undecided in throughput."), "{said}");
}

#[test]
fn remedy_that_helped_less_than_the_margin_is_not_a_gain() {
    let mut draft = Draft::default();
    draft.condition(condition("python", Language::Python, &[], None));
    draft.condition(condition("orjson", Language::Python, &[Remedy::Orjson], Some("python")));
    for noise in few(&NOISE.map(|noise| 0.05 * noise)) {
        alone(&mut draft, "python", 10.0);
        pair(&mut draft, "python", 15.0 * noise);
        pair(&mut draft, "orjson", 14.9 * noise);
    }
    let analysis = analyse(&draft.recording, &QUICK);
    assert_eq!(analysis.advice.remedies[0].helped, Answer::No, "{}", analysis.advice.remedies[0].sentence());
}

#[test]
fn harmful_remedy_is_named_as_harmful_with_how_much() {
    let said = |others: &[(&str, f64)]| {
        let mut draft = Draft::default();
        draft.condition(condition("python", Language::Python, &[], None));
        for (name, _) in others {
            draft.condition(condition(name, Language::Python, &[Remedy::Orjson], Some("python")));
        }
        for noise in few(&NOISE) {
            alone(&mut draft, "python", 10.0);
            for (name, wall) in [("python", 15.0)].iter().chain(others) {
                pair(&mut draft, name, wall * noise);
            }
        }
        analyse(&draft.recording, &QUICK).advice.recommendation
    };
    let one = said(&[("paced", 30.0)]);
    assert_eq!(
        one,
        "Leave it as it is: paced harms the true efficiency: -33.3 points (-33.9 to -32.8 points)."
    );
    let three = said(&[("paced", 30.0), ("slow", 25.0), ("slower", 40.0)]);
    assert!(three.starts_with("Leave it as it is: none of 3 remedies helped. slower harms"), "{three}");
    assert!(three.ends_with("; 1 more does harm."), "{three}");
    // A remedy that helps does not hide one that harms.
    let both = said(&[("good", 10.0), ("bad", 25.0)]);
    assert!(
        both.starts_with("Use good, which helped most: true efficiency +33.3 points (")
            && both.contains(". bad harms the true efficiency: -26.7 points ("),
        "{both}"
    );
}

#[test]
fn single_remedy_that_is_undecided_is_not_counted_as_one_of_one() {
    let mut draft = Draft::default();
    let mut random = Random::new(47);
    draft.condition(condition("python", Language::Python, &[], None));
    draft.condition(condition("orjson", Language::Python, &[Remedy::Orjson], Some("python")));
    for noise in few(&NOISE) {
        alone(&mut draft, "python", 10.0 * noise);
        for name in ["python", "orjson"] {
            pair(&mut draft, name, 15.0 * (1.0 + 0.1 * normal(&mut random)));
        }
    }
    assert_eq!(
        analyse(&draft.recording, &QUICK).advice.recommendation,
        "Leave it as it is: orjson was not shown to help, and needs more runs."
    );
}
