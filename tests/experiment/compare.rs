//! `report --fail-on regression`: exit codes for a program that compares two recordings.

use std::path::Path;

use streamgauge::{
    analysis::{Agent, Run},
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
    assert!(errors.contains("1 runs are too few, 4 of each are needed"), "{errors}");
    let (code, _, errors) = report(&[&[base.as_str()], &fail_on[..]].concat());
    assert_eq!(code, Some(2));
    assert!(errors.contains("--fail-on needs two recordings"), "{errors}");
    // Without the flag, a regression is only shown; within the margin it does not matter.
    assert_eq!(report(&[&base, &slow]).0, Some(0));
    assert_eq!(report(&[&base, &slow, "--margin", "40", "--fail-on", "regression"]).0, Some(0));
}
