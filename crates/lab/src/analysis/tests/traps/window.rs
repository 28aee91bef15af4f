//! Small samples and short bursts.

use crate::analysis::{Language, Measure, RunKind, analyse, statistic::Random};

use super::{super::model::Draft, QUICK, condition, normal, pair};

#[test]
fn no_bootstrap_interval_is_shown_below_fifty_runs() {
    let of = |runs: u32| {
        let mut draft = Draft::default();
        let mut random = Random::new(31);
        draft.condition(condition("pair", Language::Rust, &[], None));
        for _ in 0..runs {
            pair(&mut draft, "pair", 10.0 + normal(&mut random));
        }
        let analysis = analyse(&draft.recording, &QUICK);
        let wall = &analysis.conditions[0].measures[&Measure::Wall];
        (wall.bootstrap.is_some(), wall.mean.interval.is_some())
    };
    assert_eq!(of(49), (false, true));
    assert_eq!(of(50), (true, true));
}

#[test]
fn burst_of_less_than_a_second_is_seen_across_the_border_of_two_windows() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Python, &[], None));
    let run = pair(&mut draft, "pair", 10.0);
    // 270 chunks from 2.55 s to 3.45 s.
    draft.chunks(run, 2.55, 1.0 / 300.0, 270);
    let analysis = analyse(&draft.recording, &QUICK);
    let fastest = analysis.windows.iter().map(|window| window.chunks_per_second).fold(0.0, f64::max);
    assert_eq!(fastest, 270.0);
}

#[test]
fn interval_of_a_mean_stays_within_what_the_measure_can_be() {
    let mut draft = Draft::default();
    draft.condition(condition("pair", Language::Python, &[], None));
    for even in [0.6, 1.0, 0.99] {
        draft.run("pair", RunKind::Together, &[("a", 5, 10.0), ("b", 5, 10.0 * even)]);
    }
    draft.run("pair", RunKind::Together, &[("a", 5, 300.0), ("b", 5, 300.0)]);
    let analysis = analyse(&draft.recording, &QUICK);
    let interval = |measure| analysis.conditions[0].mean(measure).unwrap().interval.unwrap();
    assert_eq!(interval(Measure::OverlapEfficiency).high, 1.0);
    assert_eq!(interval(Measure::Wall).low, 0.0);
}
