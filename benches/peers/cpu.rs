//! Measures the CPU time of a forwarded record.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, Result};

use super::{
    Plan,
    load::{Load, locally},
    peer::Kind,
    reference::Reference,
    simulator,
    spread::{rows, table, turns},
};

/// Streams that have just started or are about to end are left out.
const MARGIN: Duration = Duration::from_secs(1);

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (streams, rate, seconds) = (plan.streams, plan.rate, plan.seconds);
    let (_simulator, ollama) = simulator::apart(&plan.ours, rate, rate * (seconds + 3))?;
    let reference = Rc::new(Reference::of(plan.ask(), ollama).await?);
    let peers = Kind::all(plan).iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
    let mut rows = rows(peers.iter().map(|peer| peer.name.as_str()));
    for turn in turns(plan.rounds, peers.len()) {
        let peer = &peers[turn];
        let cost = locally(async {
            let load = Load::start(peer.addr, streams, &reference, plan.start);
            load.started().await?;
            tokio::time::sleep(MARGIN).await;
            let cost = load.cost(&peer.process, Duration::from_secs(seconds.into())).await?;
            load.end().await?;
            anyhow::Ok(cost)
        });
        let cost = cost.await.with_context(|| format!("through {}", peer.name))?;
        rows[turn].1.push(cost.as_secs_f64() * 1e6);
    }
    table(&format!("CPU µs per chunk, {streams} × {rate}/s, {}", plan.start), &rows);
    Ok(())
}
