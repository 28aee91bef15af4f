//! The energy of GPUs that are read during an experiment.

use streamgauge::{
    collector::gpu::FakeReader,
    experiment::{self, Options, plan::Plan, recording::read_all},
};
use streamgauge_simulate::Config;

use super::ollama::{Place, simulator};

#[tokio::test]
async fn first_and_last_run_of_an_experiment_have_their_energy() {
    let url = simulator(Config { rate: 200.0, ..Config::default() });
    let place = Place::new(&url, 5, "repetitions = 1\n[[condition]]\nname = \"pair\"\ncount = 2\n");
    let plan: Plan = std::fs::read_to_string(&place.plan).unwrap().parse().unwrap();
    let options = Options {
        folder: place.recording(),
        resume: false,
        python: "python3".into(),
        program: env!("CARGO_BIN_EXE_streamgauge").into(),
        unset: Vec::new(),
        until: None,
        gpu: Some(Box::new(FakeReader::new(1))),
    };
    experiment::run(&plan, options, &mut ()).await.unwrap();
    let settings = streamgauge::analysis::Settings::default();
    let recorded = read_all(&place.recording(), &settings, &mut |_| {}).unwrap();
    let joules: Vec<Option<f64>> = recorded[0].recording.runs.iter().map(|run| run.joules).collect();
    assert_eq!(joules.len(), 2);
    assert!(joules.iter().all(|joules| joules.is_some_and(|joules| joules > 0.0)), "{joules:?}");
}
