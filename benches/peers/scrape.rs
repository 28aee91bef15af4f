//! Measures a scrape of many models while streams run, and its effect on the age of their records.

use std::{net::SocketAddr, rc::Rc, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use super::{
    Plan,
    load::{Load, locally},
    peer::{Kind, Peer},
    reference::Reference,
    simulator,
    spread::{Spread, rows, table, turns},
};

const MODELS: usize = 16;
const MARGIN: Duration = Duration::from_secs(1);
/// Prometheus scrapes every 15 s. This interval is shorter, to make the effect visible.
const EVERY: Duration = Duration::from_millis(250);
const ROUTES: [&str; 2] = ["generate", "chat"];
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (streams, rate, seconds) = (plan.streams, plan.rate, plan.seconds);
    let names: Vec<_> =
        std::iter::once("sim".to_owned()).chain((1..MODELS).map(|n| format!("sim{n}"))).collect();
    let (_simulator, ollama) = simulator::with(&plan.ours, rate, rate * (seconds + 4), &names)?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let peer = Kind::ours(plan).start(ollama)?;
    for (name, route) in names.iter().flat_map(|name| ROUTES.map(|route| (name, route))) {
        ask(&peer, name, route).await?;
    }
    let mut rows = SHARES.map(|_| rows(["scraped four times a second", "not scraped"]));
    let (mut took, mut bytes) = (Spread::default(), 0);
    let admin = peer.admin.context("only streamgauge has metrics")?;
    for turn in turns(plan.rounds, 2) {
        let (late, scrapes) = locally(async {
            let load = Load::open(peer.addr, streams, &reference);
            load.started().await?;
            tokio::time::sleep(MARGIN).await;
            load.time(rate);
            let stretch = Duration::from_secs(seconds.into());
            let prometheus = (turn == 0).then(|| {
                let names = names.clone();
                thread::spawn(move || scrape(admin, &names, stretch))
            });
            tokio::time::sleep(stretch).await;
            let late = Spread::from(load.timed().context("nothing was recorded")?.from_stamp);
            load.end().await?;
            let scrapes = prometheus.map(|thread| thread.join().expect("it does not panic")).transpose()?;
            anyhow::Ok((late, scrapes.unwrap_or_default()))
        })
        .await?;
        for ((_, share), rows) in SHARES.iter().zip(&mut rows) {
            rows[turn].1.push(late.quantile(*share) * 1e6);
        }
        for (seconds, length) in scrapes {
            took.push(seconds * 1e3);
            bytes = length;
        }
    }
    for ((title, _), rows) in SHARES.iter().zip(&rows) {
        table(&format!("{title} of µs from stamp to client, {streams} × {rate}/s"), rows);
    }
    table(&format!("ms per scrape, {MODELS} models, {bytes} bytes"), &[("streamgauge".to_owned(), took)]);
    Ok(())
}

/// Scrapes as Prometheus does, over one connection and in parallel with the clients. Returns the seconds and the
/// bytes of each response.
fn scrape(admin: SocketAddr, names: &[String], stretch: Duration) -> Result<Vec<(f64, usize)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, end) = (reqwest::Client::new(), Instant::now() + stretch);
        let mut scrapes = Vec::new();
        while Instant::now() < end {
            let began = Instant::now();
            let response = client.get(format!("http://{admin}/metrics")).send().await?.error_for_status()?;
            let text = response.bytes().await?;
            scrapes.push((began.elapsed().as_secs_f64(), text.len()));
            let text = std::str::from_utf8(&text)?;
            ensure!(
                names.iter().all(|name| text.contains(&format!("model=\"{name}:latest\""))),
                "a model is missing"
            );
            tokio::time::sleep_until(began + EVERY).await;
        }
        Ok(scrapes)
    })
}

/// Requests one response of a model, as fast as the simulator can generate it.
async fn ask(peer: &Peer, model: &str, route: &str) -> Result<()> {
    let body = format!(
        "{{\"model\":\"{model}\",\"prompt\":\"why\",\"messages\":[{{\"role\":\"user\",\"content\":\"why\"}}]}}"
    );
    let request = reqwest::Client::new().post(format!("http://{}/api/{route}", peer.addr));
    let request = request.header("content-type", "application/json").header("x-simulate-rate", "0");
    request
        .body(body)
        .send()
        .await?
        .error_for_status()
        .context("the simulator lacks a model")?
        .bytes()
        .await?;
    Ok(())
}
