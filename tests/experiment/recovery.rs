//! Twenty experiments over sockets, against a simulator with known contention.

use std::{path::Path, sync::Mutex, thread};

use streamgauge::{
    analysis::{Settings, analyse},
    experiment::{Options, Plan, recording::read, run},
};
use streamgauge_simulate::Config;

use super::ollama::simulator;

const EXPERIMENTS: u64 = 20;
const TOKENS: u32 = 40;
const RATE: f64 = 120.0;
const CONTENTION: f64 = 0.4;

/// The interval of the true speedup in one experiment.
fn experiment(seed: u64) -> (f64, f64) {
    let config = Config {
        rate: RATE,
        contention: CONTENTION,
        jitter: 0.5,
        prefill_rate: 0.0,
        seed,
        ..Config::default()
    };
    let url = simulator(config);
    let plan: Plan = format!(
        "name = \"recovery\"\nseed = {seed}\nrepetitions = 5\nwarm_up = 1\npause = \"1ms\"\n[upstreams]\none = {url:?}\n\
         [[agent]]\nname = \"writer\"\nmodel = \"sim\"\nprompt = \"p\"\ntokens = {TOKENS}\n\
         [[condition]]\nname = \"pair\"\ncount = 2\n"
    )
    .parse()
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("recording");
    let options = Options {
        folder: recording.clone(),
        resume: false,
        python: "python3".into(),
        program: Path::new(env!("CARGO_BIN_EXE_streamgauge")).into(),
        unset: Vec::new(),
        until: None,
        gpu: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(run(&plan, options, &mut ())).unwrap();
    assert_eq!((done.runs, done.failed), (11, 0));
    let quick = Settings { resamples: 9, ..Settings::default() };
    let analysis = analyse(&read(&recording).unwrap().recording, &quick);
    let interval = analysis.condition("pair").unwrap().truth.unwrap().interval.unwrap();
    (interval.low, interval.high)
}

#[test]
fn true_speedup_of_simulator_is_recovered_through_sockets() {
    // Two streams, each (1 + c) times as slow: 2 / (1 + c), except for the tail of the slower one and the time of a
    // request besides its tokens.
    let truth = 2.0 / (1.0 + CONTENTION);
    let (found, seeds) = (Mutex::new(Vec::new()), (0..EXPERIMENTS).collect::<Vec<u64>>());
    thread::scope(|scope| {
        for seeds in seeds.chunks(5) {
            let found = &found;
            scope.spawn(move || {
                seeds.iter().for_each(|seed| {
                    let interval = experiment(*seed);
                    found.lock().unwrap().push(interval);
                })
            });
        }
    });
    let found = found.into_inner().unwrap();
    // Within 3 %, since the formula does not include sockets.
    let has = |(low, high): &(f64, f64)| low / 1.03 <= truth && truth <= high * 1.03;
    let covered = found.iter().filter(|interval| has(interval)).count();
    assert!(covered >= 17, "{covered} of {EXPERIMENTS}: {found:?}");
    let narrow = found.iter().filter(|(low, high)| high / low < 1.5).count();
    assert!(narrow >= 17, "an interval that holds everything says nothing: {found:?}");
}
