//! Measures how fast Ollama learns that a client has disconnected.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result};
use tokio::time::{Instant, timeout};

use super::{
    PATIENCE, Plan, inside,
    load::{Load, locally},
    peer::Kind,
    reference::Reference,
    spread::Spread,
    stream::Stream,
};

const RATE: u32 = 40;
/// The streams of other clients at the same time.
const OTHERS: usize = 200;

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    println!("\n{:<44} {:>9} {:>9} {:>9}", "ms from a disconnect to the cancellation", "p50", "p99", "max");
    for others in [0, OTHERS] {
        for kind in Kind::all(plan) {
            let (ollama, truth) = inside::start(RATE, RATE * 30)?;
            let peer = kind.start(ollama)?;
            let mut waits = Spread::default();
            let work = async {
                let reference = Rc::new(Reference::learn(ollama).await?);
                let load = Load::open(peer.addr, others, &reference);
                load.started().await?;
                for nth in 1..=plan.aborts as u64 {
                    let mut stream = Stream::open(peer.addr).await?;
                    stream.record().await?.context("no record")?;
                    let left = Instant::now();
                    drop(stream);
                    timeout(PATIENCE, truth.until(|truth| truth.cancelled() == nth)).await?;
                    let seen = truth.last_cancel().context("the simulator saw no cancellation")?;
                    waits.push(seen.saturating_duration_since(left).as_secs_f64() * 1e3);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                load.end().await
            };
            locally(work).await.with_context(|| format!("through {}", peer.name))?;
            let name = format!("{}, with {others} other streams", peer.name);
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| waits.quantile(share));
            println!("  {name:<42} {p50:>9.2} {p99:>9.2} {max:>9.2}");
        }
    }
    Ok(())
}
