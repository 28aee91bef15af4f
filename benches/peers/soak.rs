//! Runs many streams for a long time while clients disconnect. Every stream must arrive complete, and every outcome
//! must be counted once.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use super::{
    PATIENCE, Plan, inside,
    load::{Load, locally},
    peer::{Kind, Peer},
    reference::Reference,
    stream::Stream,
};

const RATE: u32 = 10;
/// The clients that disconnect, one after the other, while the streams run.
const LEAVERS: usize = 200;

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (streams, seconds) = (plan.many, plan.soak_seconds);
    let (ollama, truth) = inside::start(RATE, RATE * seconds)?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let peer = Kind::ours(plan).start(ollama)?;
    let began = Instant::now();
    let records = locally(async {
        let load = Load::open(peer.addr, streams, &reference);
        load.started().await?;
        for _ in 0..LEAVERS {
            let mut stream = Stream::open(peer.addr).await?;
            stream.record().await?.context("no record")?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        load.end().await
    })
    .await?;
    let took = began.elapsed();

    // The direct reference stream did not pass through the sidecar.
    let wanted = [
        ("requests_total", r#"outcome="complete""#, truth.ended() - 1),
        ("requests_total", r#"outcome="client_abort""#, truth.cancelled()),
        ("requests_total", "", truth.ended() - 1 + truth.cancelled()),
        ("requests_in_flight", "", 0),
    ];
    ensure!(truth.ended() - 1 == streams as u64, "the simulator ended {}", truth.ended() - 1);
    settled(&peer, &wanted).await?;
    println!(
        "\nsoak: {streams} streams at once for {:.0} s, {records} records whole and in order; {LEAVERS} clients \
         left; complete {}, client_abort {} in the metrics as in truth, nothing in flight",
        took.as_secs_f64(),
        truth.ended() - 1,
        truth.cancelled(),
    );
    Ok(())
}

/// Waits until sums of metrics have the expected values.
async fn settled(peer: &Peer, wanted: &[(&str, &str, u64)]) -> Result<()> {
    let began = Instant::now();
    loop {
        let text = peer.metrics().await?;
        let mut wrong = wanted.iter().filter(|(name, label, value)| sum(&text, name, label) != *value as f64);
        let Some((name, label, value)) = wrong.next() else { return Ok(()) };
        let is = sum(&text, name, label);
        ensure!(began.elapsed() < PATIENCE, "{name} {label} is {is} and should be {value}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The series of a family that have a label.
fn sum(text: &str, name: &str, label: &str) -> f64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix("streamgauge_")?.strip_prefix(name));
    let series = lines.filter(|series| series.starts_with('{') && series.contains(label));
    series.filter_map(|series| series.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
