//! Measures the memory of a running stream.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result};

use super::{
    Plan,
    load::{Load, locally},
    peer::Kind,
    reference::Reference,
    simulator,
    spread::{Spread, table},
};

/// The records per second of each stream, if all of them together stay below [`TOGETHER`].
const RATE: u32 = 10;
/// The most records per second of all streams, so that a machine of two cores keeps up with 10,000 streams.
const TOGETHER: u32 = 20_000;
const SECONDS: u32 = 8;
/// The time for which all streams run before the memory is read.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let streams = plan.many;
    let rate = (TOGETHER / u32::try_from(streams)?.max(1)).clamp(1, RATE);
    let (_simulator, ollama) = simulator::apart(&plan.ours, rate, rate * SECONDS)?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let kinds = Kind::all(plan);
    let mut steady = vec![(String::new(), Spread::default()); kinds.len()];
    let mut peaks = steady.clone();
    for _ in 0..plan.rounds {
        for ((kind, row), top) in kinds.iter().zip(&mut steady).zip(&mut peaks) {
            // Each round starts a new process, since an allocator keeps memory that it once had.
            let peer = kind.start(ollama)?;
            row.0.clone_from(&peer.name);
            top.0.clone_from(&peer.name);
            let taken = locally(async {
                Load::open(peer.addr, 1, &reference).end().await?;
                let idle = peer.process.resident()?;
                let load = Load::start(peer.addr, streams, &reference, plan.start);
                load.started().await?;
                tokio::time::sleep(SETTLE).await;
                let (taken, peak) = (peer.process.resident()?, peer.process.peak()?);
                load.end().await?;
                anyhow::Ok((taken.saturating_sub(idle), peak.saturating_sub(idle)))
            });
            let (taken, peak) = taken.await.with_context(|| format!("through {}", peer.name))?;
            row.1.push(taken as f64 / streams as f64 / 1024.0);
            top.1.push(peak as f64 / streams as f64 / 1024.0);
        }
    }
    table(&format!("KiB per stream above idle, {streams}, {}", plan.start), &steady);
    table(&format!("the same at the peak, {streams}, {}", plan.start), &peaks);
    Ok(())
}
