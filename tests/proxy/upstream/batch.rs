//! A batch of requests on three simulated Ollamas of different speed, over sockets: the same requests as those of
//! `src/upstream/batch.rs`, where the clock is simulated too.

// The requests and the search are those of the unit test, so that both compare with the same schedule.
#[path = "../../../src/upstream/batch/best.rs"]
mod best;
// See above.
#[path = "../../../src/upstream/batch/jobs.rs"]
mod jobs;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use streamgauge::upstream::Policy;
use streamgauge_simulate as simulate;
use tokio::{task::JoinSet, time::Instant};

use super::{
    super::harness::*,
    several::{Simulated, ask, in_turn, quick, up},
};

fn ollama(machine: &jobs::Machine) -> simulate::Config {
    simulate::Config {
        models: jobs::MODELS.map(str::to_owned).into(),
        tokens: 1_000,
        rate: machine.tokens_per_second,
        load_time: Duration::from_secs_f64(jobs::LOAD),
        contention: 0.0,
        jitter: 0.0,
        parallel: machine.slots,
        ..quick()
    }
}

/// The seconds that the requests take.
async fn total(jobs: &[jobs::Job]) -> f64 {
    let ollamas = jobs::MACHINES.each_ref().map(|machine| Simulated::start(ollama(machine)));
    let mut config = in_turn(&ollamas.each_ref().map(|ollama| ollama.addr));
    config.upstream.choose = Policy::ModelAware;
    config.upstream.health_interval = Duration::from_secs(5);
    for (upstream, machine) in config.upstream.upstreams.iter_mut().zip(&jobs::MACHINES) {
        upstream.max_streams = Some(StreamLimit::Fixed(machine.slots));
    }
    config.queue.size = jobs.len();
    config.queue.timeout = Duration::from_secs(600);
    let sidecar = Arc::new(up(config).await);
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for job in jobs.iter().copied() {
        let sidecar = sidecar.clone();
        requests.spawn(async move {
            tokio::time::sleep_until(began + Duration::from_secs_f64(job.arrival)).await;
            let chat = json!({
                "model": jobs::MODELS[job.model],
                "messages": [{"role": "user", "content": "why"}],
                "options": {"num_predict": job.tokens as u64},
            });
            assert_eq!(ask(&sidecar, "/api/chat", &chat).await.0, 200);
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
    began.elapsed().as_secs_f64()
}

#[tokio::test]
#[ignore = "two minutes of an idle machine: `just batch`"]
async fn batch_over_sockets_ends_within_15_percent_of_the_best_schedule() {
    for seconds in [0, 20, 40] {
        let jobs = jobs::jobs(0, seconds);
        let (ours, best) = (total(&jobs).await, best::search(&jobs));
        println!("arrival within {seconds} s: {ours:.1} s; best schedule {best:.1} s");
        assert!(ours <= 1.15 * best, "{ours} s and not {best} s");
    }
}
