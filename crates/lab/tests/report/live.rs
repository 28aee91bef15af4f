//! The report of live traffic.

use serde_json::Value;

use streamgauge_lab::{
    analysis::{Agent, Chunk, Load, Recording, Run, RunKind, Served},
    experiment::recording::Recorded,
    report::Report,
};

use super::made_up::SETTINGS;

const LIVE: &str = "live traffic";

/// Streams of two callers, alone and up to four at once: 100 tok/s alone, and 4 ms more for each other stream.
pub(super) fn report() -> Report {
    Report::of(vec![recorded("night", 1.0)], &SETTINGS)
}

/// The same, with a token time longer by this factor.
fn recorded(name: &str, slowness: f64) -> Recorded {
    let run = Run { condition: LIVE.into(), kind: RunKind::Open, ..Run::default() };
    let mut recording = Recording { runs: vec![run], live: true, ..Recording::default() };
    for round in 0..40 {
        let streams = 1 + round % 4;
        let gap = slowness * (0.010 + 0.004 * f64::from(streams - 1));
        for number in 0..streams {
            let (agent, started) = (recording.agents.len() as u32, 5.0 * f64::from(round));
            recording.agents.push(Agent {
                agent,
                role: if number == 0 { "alice".into() } else { "bob".into() },
                model: "gemma3:270m".into(),
                started,
                duration: 0.3 + 99.0 * gap,
                first_token: Some(0.3),
                tokens: Some(100),
                prompt_eval_duration: Some(0.2),
                served: Some(Box::new(Served {
                    upstream: "gpu0".into(),
                    route: "chat".into(),
                    ..Served::default()
                })),
                ..Agent::default()
            });
            recording.chunks.extend((0..100).map(|token| Chunk {
                run: 0,
                agent,
                at: started + 0.3 + gap * f64::from(token),
                bytes: 100,
                records: 1,
                gap: if token == 0 { f64::NAN } else { gap },
                parse: f64::NAN,
                streams,
            }));
        }
    }
    let load = Load { condition: LIVE.into(), rate: 0.5, seconds: 200.0, ..Load::default() };
    recording.loads.push(load);
    Recorded { name: name.into(), recording, plan: None, environment: None, problems: Vec::new() }
}

#[test]
fn report_of_two_nights_says_which_is_slower_at_the_same_number_of_streams() {
    let report = Report::of(vec![recorded("monday", 1.0), recorded("tuesday", 1.25)], &SETTINGS);
    let text = report.text(None);
    let worse = "Worse than in monday: tokens per second of a stream at the same concurrency of tuesday/live traffic \
                 (gemma3:270m on gpu0) -";
    assert!(text.contains(worse) && text.contains("Comparison of the recordings"), "{text}");
    let regressions = report.regressions().unwrap();
    assert!(regressions.len() == 1 && regressions[0].contains("10 and 10 blocks of time"), "{regressions:?}");
    let full = report.full_text(None);
    for part in [
        "Live traffic: rates at the same number of streams",
        "-20.0 %",
        "monday/live traffic, gemma3:270m on gpu0",
    ] {
        assert!(full.contains(part), "{part:?} is not in {full}");
    }
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    super::schema::verify(&json);
    assert_eq!(json["between"]["live"][0]["levels"].as_array().unwrap().len(), 4);
    assert_eq!(json["between"]["comparisons"][0]["sampled"], "blocks");
    let same = Report::of(vec![recorded("monday", 1.0), recorded("tuesday", 1.0)], &SETTINGS);
    assert_eq!(same.regressions(), Ok(Vec::new()));
    assert!(same.text(None).contains("Equivalent to monday within 5 %"), "{}", same.text(None));
}

#[test]
fn live_traffic_is_not_compared_with_the_load_of_an_experiment() {
    let mut replay = recorded("replay", 1.0);
    replay.recording.agents.iter_mut().for_each(|agent| agent.served = None);
    let report = Report::of(vec![recorded("monday", 1.0), replay], &SETTINGS);
    let why = report.regressions().unwrap_err();
    assert!(why.contains("one is live traffic and the other is the load of an experiment"), "{why}");
    // How both loads went is on the first screen.
    let text = report.text(None);
    for expected in [
        "  - replay/live traffic and monday/live traffic were not compared",
        "  - monday/live traffic: 100 requests in ",
        " 0 failed or lost their client; time to first token p50 300 ms",
        "  - replay/live traffic: 100 requests in ",
        "Open-loop loads",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let full = report.full_text(None);
    assert!(full.contains("Compare a recording of a sidecar with another one"), "{full}");
}

#[test]
fn live_traffic_without_a_request_is_said_so_and_nothing_else() {
    let mut empty = recorded("night", 1.0);
    (empty.recording.agents, empty.recording.chunks, empty.recording.loads) = Default::default();
    let text = Report::of(vec![empty], &SETTINGS).text(None);
    assert!(text.contains("  - live traffic: no request was recorded.\n"), "{text}");
    assert!(!text.contains("conditions"), "{text}");
}

#[test]
fn report_of_live_traffic_begins_with_its_load_and_its_rates() {
    let text = report().text(None);
    for part in [
        "live traffic: 100 requests in 200 s (0.50 per second), 0 failed or lost their client",
        "time to first token p50 300 ms",
        "gemma3:270m on gpu0: 100.0 tok/s with 1 stream at once, and 45.5 tok/s",
        "each with 4: the highest throughput that has an interval, 181.8 tok/s",
        "Live traffic: rate by the number of streams",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.contains("bob generated, 27.6 % were lost beside other streams of its own"), "{text}");
    assert!(!text.contains("SLO"), "{text}");
    let full = report().full_text(None);
    for title in ["scaling", "parts of the duration", "who slowed whom"] {
        assert!(full.contains(&format!("Live traffic: {title}")), "{title}");
    }
    assert!(report().html().contains("who slowed whom"));
}

#[test]
fn report_of_live_traffic_has_a_value_of_every_shape() {
    let json: Value = serde_json::from_str(&report().json()).unwrap();
    super::schema::verify(&json);
    for pointer in [
        "/live/groups/0/levels/3/interval/low",
        "/live/groups/0/scaling/contention/value",
        "/live/groups/0/phases/0/seconds/p50",
        "/live/slowdowns/0/share",
    ] {
        assert!(json.pointer(pointer).is_some_and(|value| !value.is_null()), "{pointer}");
    }
}
