//! Whole reports of two planted sweeps: a slower Ollama is found, and the same one is not.

use super::{super::Report, QUICK, normal};
use crate::{
    analysis::{Agent, Load, Measure, Outcome, Recording, Run, RunKind, Slo, statistic::Random},
    experiment::recording::Recorded,
};

const RATES: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 12.0];
const SECONDS: f64 = 10.0;
const REPETITIONS: u32 = 6;
const SLO: Slo = Slo { ttft: Some(1.0), gap: None, stall: None, total: None, share: 0.9 };

/// Returns a sweep over an Ollama that serves this many requests per second. The first token of a request comes the later
/// the closer the load is to that, and each run is a little slower or faster than the others.
fn sweep(name: &str, capacity: f64, random: &mut Random) -> Recorded {
    let mut recording = Recording::default();
    for rate in RATES {
        let (condition, series) = (format!("chat-{rate}"), Some("chat".to_owned()));
        let (lateness, slo) = (0.05, SLO);
        recording.loads.push(Load { condition, series, rate, seconds: SECONDS, lateness, slo, recording: 0 });
    }
    for repetition in 0..REPETITIONS {
        for rate in RATES {
            let id = recording.runs.len() as u32;
            let (condition, kind) = (format!("chat-{rate}"), RunKind::Open);
            recording.runs.push(Run { id, condition, kind, repetition: Some(repetition), ..Run::default() });
            let used = rate / (capacity * (1.0 + 0.05 * normal(random)));
            for agent in 0..(rate * SECONDS) as u32 {
                let scheduled = f64::from(agent) / rate;
                let first = 0.25 * (0.2 * normal(random)).exp() / (1.0 - used).max(0.05);
                recording.agents.push(Agent {
                    run: id,
                    agent,
                    scheduled: Some(scheduled),
                    started: scheduled,
                    duration: first + 0.5,
                    first_token: Some(first),
                    ..Agent::default()
                });
            }
        }
    }
    Recorded { name: name.into(), recording, plan: None, environment: None, problems: Vec::new() }
}

fn compared(capacity: f64, random: &mut Random) -> Report {
    Report::of(vec![sweep("monday", 12.0, random), sweep("tuesday", capacity, random)], &QUICK)
}

#[test]
fn slower_ollama_has_a_lower_limit_knee_and_goodput_and_is_a_regression() {
    let report = compared(6.0, &mut Random::new(61));
    let found = |condition: &str, measure: Measure| {
        let comparisons = &report.analysis.between.comparisons;
        comparisons.iter().find(|found| found.condition == condition && found.measure == measure).unwrap()
    };
    for (condition, measure) in [
        ("tuesday/chat", Measure::HeldRate),
        ("tuesday/chat", Measure::Knee),
        ("tuesday/chat-8", Measure::Goodput),
        ("tuesday/chat-4", Measure::TtftP99),
    ] {
        let found = found(condition, measure);
        assert_eq!(found.verdict, Outcome::Worse, "{}", found.verdict_sentence());
    }
    // At a quarter of its capacity, the slower one answers every request too.
    let low = found("tuesday/chat-1", Measure::Goodput);
    assert_eq!(low.verdict, Outcome::Equivalent, "{}", low.verdict_sentence());
    let regressions = report.regressions().unwrap();
    let limit = "tuesday/chat is worse than monday/chat in highest rate that held the SLO";
    assert!(regressions.iter().any(|found| found.starts_with(limit)), "{regressions:#?}");
    let text = report.text(None);
    let worse = "Worse than in monday: highest rate that held the SLO of tuesday/chat -";
    assert!(text.contains(worse) && text.contains("Comparison of the recordings"), "{text}");
    // The other way round, it is better, and no regression.
    let mut random = Random::new(61);
    let (fast, slow) = (sweep("monday", 12.0, &mut random), sweep("tuesday", 6.0, &mut random));
    let report = Report::of(vec![slow, fast], &QUICK);
    assert_eq!(report.regressions(), Ok(Vec::new()));
    assert!(report.text(None).contains("Better than in tuesday: "), "{}", report.text(None));
}

#[test]
fn verdict_on_a_sweep_stays_on_the_first_screen_beside_other_loads() {
    let mut recorded = sweep("monday", 6.0, &mut Random::new(63));
    recorded.recording.simulated = true;
    let whole = Report::of(vec![recorded.clone()], &QUICK).verdict();
    // A short load whose sentence fits into the rest of the lines, though it says less.
    let load = Load {
        condition: "constant".into(),
        rate: 1.0,
        seconds: SECONDS,
        lateness: 0.05,
        slo: SLO,
        ..Load::default()
    };
    recorded.recording.loads.push(load);
    let report = Report::of(vec![recorded], &QUICK);
    let short = report.short_verdict();
    let of_sweep = short.iter().find(|line| line.starts_with("chat ")).unwrap_or_else(|| panic!("{short:?}"));
    for expected in ["up to ", "and misses it at ", "mostly in TTFT", "knee", "goodput ", " % failed."] {
        assert!(of_sweep.contains(expected), "{expected}: {of_sweep}");
    }
    assert!(whole.iter().any(|line| line.starts_with("chat ") && line.contains("interval")), "{whole:?}");
}

#[test]
fn same_ollama_on_two_days_is_seldom_a_regression() {
    let mut random = Random::new(62);
    let experiments = 30;
    let mut shown = String::new();
    let regressions = (0..experiments).filter(|_| {
        let found = compared(12.0, &mut random).regressions().unwrap();
        shown += &found.join("\n");
        !found.is_empty()
    });
    let regressions = regressions.count();
    // At a rate of 5 %, more than 4 of 30 happen 1.6 % of the time.
    assert!(regressions <= 4, "{regressions} of {experiments}:\n{shown}");
}
