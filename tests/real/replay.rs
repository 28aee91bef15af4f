//! `experiment replay`: recorded requests are sent to a real Ollama again, at their times and with their lengths.

use std::{path::Path, process::Command, thread, time::Duration};

use serde_json::json;

use streamgauge::{
    analysis::Agent,
    experiment::recording::{read, read_all},
};

use super::{
    answer::post,
    ollama::{MODEL, Ollama},
    process::{scratch, until},
    sidecar::Sidecar,
    version::Version,
};

/// The prompts, as words, and the lengths of the outputs.
const REQUESTS: [(usize, u32); 6] = [(20, 12), (120, 8), (60, 16), (200, 4), (40, 20), (90, 10)];
/// The distance of two requests.
const EVERY: Duration = Duration::from_millis(300);
/// The most by which a request may be late.
const LATE: f64 = 0.05;

/// The requests in the order in which they were due.
fn requests(folder: &Path) -> Vec<Agent> {
    let recorded = read_all(folder, &streamgauge::analysis::Settings::default(), &mut |_| {});
    let mut agents = recorded.map_or_else(|_| Vec::new(), |recorded| recorded[0].recording.agents.clone());
    agents.sort_by(|a, b| a.started.total_cmp(&b.started));
    agents
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn replay_repeats_arrivals_and_lengths_of_live_traffic_on_a_real_ollama() {
    let ollama = Ollama::start(Version::NEWEST, 2);
    let root = scratch();
    let night = root.path().join("night");
    let settings =
        format!("[recording]\nfolder = {night:?}\n[[upstream]]\nname = \"real\"\nurl = \"{}\"\n", ollama.url);
    let sidecar = Sidecar::of(&settings, []);
    thread::scope(|scope| {
        for (number, (words, tokens)) in REQUESTS.into_iter().enumerate() {
            let url = &sidecar.url;
            scope.spawn(move || {
                // No prompt begins like another, so that none is in a cache.
                let story = "tell a long story about the river. ".repeat(words / 7 + 1);
                let prompt = format!("{number} times, {story}");
                let options = json!({"num_predict": tokens});
                post(url, "/api/generate", &json!({"model": MODEL, "prompt": prompt, "options": options}))
                    .text();
            });
            thread::sleep(EVERY);
        }
    });
    until(|| (requests(&night).len() == REQUESTS.len()).then_some(()), || sidecar.metrics());
    let again = root.path().join("again");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    replay.env_clear().args(["experiment", "replay"]).arg(&night).args(["--upstream", &ollama.url]);
    let output = replay.arg("--output").arg(&again).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let before = requests(&night);
    let mut after = read(&again).unwrap().recording.agents;
    after.sort_by(|a, b| a.scheduled.unwrap().total_cmp(&b.scheduled.unwrap()));
    assert_eq!((before.len(), after.len()), (REQUESTS.len(), REQUESTS.len()), "{shown}");
    for (was, is) in before.iter().zip(&after) {
        let due = is.scheduled.unwrap() - after[0].scheduled.unwrap();
        let at = was.started - before[0].started;
        assert!((at - due).abs() < 1e-3, "a request at {at} s was due at {due} s");
        assert!((0.0..LATE).contains(&(is.started - is.scheduled.unwrap())), "{is:?}");
        assert_eq!(is.failure, None);
        let (recorded, sent) = (was.prompt_tokens.unwrap() as f64, is.prompt_tokens.unwrap() as f64);
        assert!((sent / recorded - 1.0).abs() < 0.1, "a prompt of {recorded} tokens became one of {sent}");
        // The model may end its answer earlier, and never later.
        assert!(is.tokens <= was.tokens && is.tokens > Some(0), "{was:?} {is:?}");
    }
    assert!(shown.contains("6 of 6 requests were sent within 50 ms of their time"), "{shown}");
    assert!(shown.contains("of the recorded tokens"), "{shown}");
}
