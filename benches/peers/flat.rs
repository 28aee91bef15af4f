//! Measures the throughput, the CPU time and the delay of streams at the maximum rate.

use std::{net::SocketAddr, rc::Rc};

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{
    Plan,
    load::{Load, locally},
    peer::{Kind, Peer},
    reference::Reference,
    simulator,
    spread::{Spread, rows, table, turns},
};

const STREAMS: usize = 32;
const TOKENS: u32 = 10_000;

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (_simulator, ollama) = simulator::apart(&plan.ours, 0, TOKENS)?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let peers = Kind::all(plan).iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
    let rows = || rows(peers.iter().map(|peer| peer.name.as_str()));
    let (mut costs, mut rates) = (rows(), rows());
    for turn in turns(plan.rounds, peers.len()) {
        let peer = &peers[turn];
        let (cpu, began) = (peer.process.cpu()?, Instant::now());
        let records = locally(async { Load::open(peer.addr, STREAMS, &reference).end().await });
        let records = records.await.with_context(|| format!("through {}", peer.name))? as f64;
        costs[turn].1.push((peer.process.cpu()? - cpu).as_secs_f64() * 1e6 / records);
        rates[turn].1.push(records / began.elapsed().as_secs_f64() / 1e3);
    }
    let delays = delays(plan, &peers, ollama, &reference).await?;
    table(&format!("CPU µs per record, {STREAMS} streams at the maximum rate"), &costs);
    table(&format!("thousand records/s, {STREAMS} streams at the maximum rate"), &rates);
    table(&format!("p50 of ms from stamp, {STREAMS} streams at the maximum rate"), &delays);
    Ok(())
}

/// The delays in rounds of their own, since reading the stamps slows the client.
async fn delays(
    plan: &Plan,
    peers: &[Peer],
    ollama: SocketAddr,
    reference: &Rc<Reference>,
) -> Result<Vec<(String, Spread)>> {
    let mut targets: Vec<_> = peers.iter().map(|peer| (peer.name.as_str(), peer.addr)).collect();
    targets.insert(0, ("direct, with no proxy", ollama));
    let mut delays = rows(targets.iter().map(|(name, _)| *name));
    for turn in turns(plan.rounds, targets.len()) {
        let (name, addr) = targets[turn];
        let ages = locally(async {
            let load = Load::open(addr, STREAMS, reference);
            // The time at which a record is due is not known without a rate.
            load.time(1);
            load.end_timed().await
        });
        let ages = ages.await.with_context(|| format!("through {name}"))?;
        delays[turn].1.push(Spread::from(ages.from_stamp).quantile(0.5) * 1e3);
    }
    Ok(delays)
}
