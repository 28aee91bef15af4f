//! `report --fail-on regression`: exit codes for a program that compares two recordings.

use std::path::Path;

use streamgauge::{
    analysis::{Agent, Run, RunKind},
    experiment::{
        Plan,
        recording::{AgentRow, Environment, RunRow, Writer},
    },
};

use super::ollama::{streamgauge, text};

const PLAN: &str = "name = \"one\"\n[upstreams]\none = \"http://127.0.0.1:1\"\n[[agent]]\nname = \"a\"\nmodel = \"m\"\n\
    prompt = \"p\"\ntokens = 1\n[[condition]]\nname = \"alone, \\\"quoted\\\"\"\nteam = [\"a\"]\n";

/// Writes runs of one agent that generates 100 tokens, in these seconds.
fn write(folder: &Path, seconds: &[f64]) {
    let plan: Plan = PLAN.parse().unwrap();
    let mut writer = Writer::create(folder, &plan, &Environment::default()).unwrap();
    for (id, duration) in (0..).zip(seconds) {
        let condition = plan.conditions[0].name.clone();
        let started = 10.0 * f64::from(id);
        let run = Run { id, condition, started, repetition: Some(id), ..Run::default() };
        let agent = Agent {
            run: id,
            role: "a".into(),
            started,
            duration: *duration,
            tokens: Some(100),
            ..Agent::default()
        };
        writer.run(&RunRow { run, agents: vec![AgentRow { agent, ..AgentRow::default() }] }).unwrap();
    }
    writer.flush().unwrap();
}

#[test]
fn report_fails_on_regression_with_its_own_exit_code() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (base, same, slow, few) = (at("base"), at("same"), at("slow"), at("few"));
    write(base.as_ref(), &[2.00, 2.02, 1.98, 2.01, 1.99]);
    write(same.as_ref(), &[2.01, 2.00, 1.99, 2.02, 1.98]);
    write(slow.as_ref(), &[2.50, 2.52, 2.48, 2.51, 2.49]);
    write(few.as_ref(), &[2.50]);
    let report = |arguments: &[&str]| {
        let output = streamgauge(&[&["report"], arguments].concat()).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let fail_on = ["--fail-on", "regression"];
    let judged = |first: &str, second: &str| report(&[&[first, second], &fail_on[..]].concat());

    let (code, shown, errors) = judged(&base, &slow);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.starts_with("regression:\n  slow/alone, \"quoted\" is worse than base/alone"), "{errors}");
    assert!(shown.contains("Comparison of the recordings"), "{shown}");
    assert_eq!(judged(&base, &same).0, Some(0));
    // The other way round it is an improvement.
    assert_eq!(judged(&slow, &base).0, Some(0));
    let (code, _, errors) = judged(&base, &few);
    assert_eq!(code, Some(1));
    assert!(errors.contains("1 run is too few, 4 of each are needed"), "{errors}");
    let (code, _, errors) = report(&[&[base.as_str()], &fail_on[..]].concat());
    assert_eq!(code, Some(2));
    assert!(errors.contains("--fail-on needs two recordings"), "{errors}");
    // Without the flag, a regression is only shown; within the margin it does not matter.
    assert_eq!(report(&[&base, &slow]).0, Some(0));
    assert_eq!(report(&[&base, &slow, "--margin", "40", "--fail-on", "regression"]).0, Some(0));
}

const SWEEP: &str = "name = \"sweep\"\n[upstreams]\none = \"http://127.0.0.1:1\"\n[[agent]]\nname = \"a\"\nmodel = \"m\"\n\
    prompt = \"p\"\ntokens = 1\n[[condition]]\nname = \"chat\"\n[condition.load]\narrivals = \"constant\"\nrates = [2, 4]\n\
    for = \"10s\"\nslo = { ttft = \"1s\", share = 0.9 }\n";

/// Writes runs of both rates of a sweep. A request is answered after one of these seconds.
fn write_sweep(folder: &Path, repetitions: u32, seconds: &[f64]) {
    let plan: Plan = SWEEP.parse().unwrap();
    let mut writer = Writer::create(folder, &plan, &Environment::default()).unwrap();
    let mut answers = seconds.iter().cycle();
    for id in 0..2 * repetitions {
        let place = id as usize % 2;
        let (condition, started) = (plan.conditions[place].name.clone(), 20.0 * f64::from(id));
        let (kind, repetition) = (RunKind::Open, Some(id / 2));
        let run = Run { id, condition, kind, started, repetition, wall: Some(12.0), ..Run::default() };
        let request = |agent: u32| {
            let (scheduled, first) = (started + 0.25 * f64::from(agent), answers.next().unwrap());
            let agent = Agent {
                run: id,
                agent,
                role: "a".into(),
                scheduled: Some(scheduled),
                started: scheduled,
                duration: first + 0.5,
                first_token: Some(*first),
                ..Agent::default()
            };
            AgentRow { agent, ..AgentRow::default() }
        };
        let agents = (0..[20, 40][place]).map(request).collect();
        writer.run(&RunRow { run, agents }).unwrap();
    }
    writer.flush().unwrap();
}

#[test]
fn report_of_two_sweeps_fails_on_a_regression_of_the_load() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (base, same, slow, few) = (at("base"), at("same"), at("slow"), at("few"));
    write_sweep(base.as_ref(), 5, &[0.20, 0.25, 0.30, 0.22, 0.28, 0.21, 0.24]);
    write_sweep(same.as_ref(), 5, &[0.21, 0.30, 0.24, 0.22, 0.20, 0.28, 0.25]);
    // Every third answer misses the objective.
    write_sweep(slow.as_ref(), 5, &[0.20, 1.25, 0.30, 0.22, 1.28, 0.21, 0.24]);
    write_sweep(few.as_ref(), 2, &[0.20, 1.25]);
    let judged = |first: &str, second: &str| {
        let output = streamgauge(&["report", first, second, "--fail-on", "regression"]).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, shown, errors) = judged(&base, &slow);
    assert_eq!(code, Some(3), "{errors}");
    for worse in [
        "slow/chat is worse than base/chat in highest rate that held the SLO",
        "slow/chat-2 is worse than base/chat-2 in goodput",
        "slow/chat-4 is worse than base/chat-4 in TTFT p99",
    ] {
        assert!(errors.contains(worse), "{worse}: {errors}");
    }
    assert!(
        shown.contains("Worse than in base: highest rate that held the SLO of slow/chat -4.00/s"),
        "{shown}"
    );
    let (code, shown, errors) = judged(&base, &same);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{shown}");
    assert!(
        shown.contains("Equivalent to base within 5 %: highest rate that held the SLO of same/chat"),
        "{shown}"
    );
    assert_eq!(judged(&slow, &base).0, Some(0), "an improvement is no regression");
    let (code, _, errors) = judged(&base, &few);
    assert_eq!(code, Some(1));
    assert!(errors.contains("2 runs are too few"), "{errors}");
}
