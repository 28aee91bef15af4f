//! Open-loop loads from the plan to the verdict.

use streamgauge::{analysis::RunKind, experiment::recording::read};
use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, simulator, streamgauge, text};

/// Two slots with 20 tokens at 100 tok/s: about 10 responses per second at most.
fn slow() -> String {
    simulator(Config {
        rate: 100.0,
        parallel: 2,
        contention: 0.0,
        jitter: 0.0,
        prefill_rate: 0.0,
        ..Config::default()
    })
}

#[test]
fn sweep_of_rates_finds_the_limit_stops_and_is_reported_first() {
    let place = Place::new(
        &slow(),
        20,
        "repetitions = 2\n[[condition]]\nname = \"load\"\n[condition.load]\narrivals = \"constant\"\n\
         rates = [4, 40, 50, 60]\nfor = \"2s\"\nlateness = \"500ms\"\nslo = { ttft = \"900ms\", share = 0.8 }\n",
    );
    let output = place.run(&[]);
    assert_done(&output);
    // The rule stops each sweep after two rates that missed the objective.
    assert!(text(&output.stdout).contains("6 runs"), "{}", text(&output.stdout));
    let recorded = read(&place.recording()).unwrap();
    assert_eq!(recorded.problems, []);
    let recording = &recorded.recording;
    let conditions: Vec<&str> = recording.runs.iter().map(|run| run.condition.as_str()).collect();
    assert_eq!(conditions, ["load-4", "load-40", "load-50", "load-4", "load-40", "load-50"]);
    for run in &recording.runs {
        assert_eq!(run.kind, RunKind::Open);
        let agents: Vec<_> = recording.agents.iter().filter(|agent| agent.run == run.id).collect();
        let rate = run.condition["load-".len()..].parse::<f64>().unwrap();
        assert_eq!(agents.len(), 2 * rate as usize);
        for agent in agents {
            let (late, scheduled) =
                (agent.started - agent.scheduled.unwrap(), agent.scheduled.unwrap() - run.started);
            assert!(late >= 0.0 && scheduled < 2.0, "{agent:?}");
        }
    }
    let shown = streamgauge(&["report", place.recording().to_str().unwrap()]).output().unwrap();
    assert_done(&shown);
    let shown = text(&shown.stdout);
    let second = shown.lines().nth(2).unwrap();
    assert!(second.contains("load holds the SLO") && second.contains("up to 4 requests/s"), "{shown}");
    assert!(second.contains("and misses it at 40") && second.contains("mostly in TTFT"), "{shown}");
    let resumed = place.run(&["--resume"]);
    assert_done(&resumed);
    assert!(text(&resumed.stdout).contains("0 runs"), "the rates that were skipped stay skipped");
}

#[test]
fn load_of_listed_times_sends_each_request_when_it_is_due() {
    let url = simulator(Config { rate: 0.0, ..Config::default() });
    let place = Place::new(
        &url,
        3,
        "repetitions = 1\n[[condition]]\nname = \"trace\"\nown_process = true\nload = { times = [0.3, 0, 0.1] }\n",
    );
    assert_done(&place.run(&[]));
    let recording = read(&place.recording()).unwrap().recording;
    let scheduled: Vec<f64> = recording.agents.iter().map(|agent| agent.scheduled.unwrap()).collect();
    let since = |agent: usize| scheduled[agent] - scheduled[0];
    assert!((since(1) - 0.1).abs() < 1e-6 && (since(2) - 0.3).abs() < 1e-6, "{scheduled:?}");
    assert!(recording.agents.iter().all(|agent| agent.failure.is_none() && agent.tokens == Some(3)));
}

#[test]
fn plan_with_an_impossible_load_is_refused_with_every_mistake() {
    let place = Place::new(
        "http://127.0.0.1:1",
        3,
        "[[condition]]\nname = \"a\"\nload = { rate = 2 }\n[[condition]]\nname = \"b\"\nbaseline = \"a\"\n\
         load = { rates = [1], times = [1], for = \"1s\" }\n[[condition]]\nname = \"c\"\nlanguage = \"python\"\n\
         load = { rate = 5, for = \"10s\", slo = { ttft = \"0s\", share = 2 } }\n",
    );
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stderr);
    for part in [
        "condition \"a\": load.for is missing",
        "condition \"b\": load.rates and load.times exclude each other",
        "condition \"b-1\": a load has no baseline",
        "condition \"c\": a load is sent by one process in Rust",
        "condition \"c\": load.slo.ttft must be a time above 0",
        "condition \"c\": load.slo.share must be above 0 and at most 1",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
}
