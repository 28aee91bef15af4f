//! Measures the throughput and the CPU time of streams at the maximum rate.

use std::rc::Rc;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{
    Plan,
    load::{Load, locally},
    peer::Kind,
    reference::Reference,
    simulator,
    spread::{rows, table, turns},
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
    table(&format!("CPU µs per record, {STREAMS} streams at the maximum rate"), &costs);
    table(&format!("thousand records/s, {STREAMS} streams at the maximum rate"), &rates);
    Ok(())
}
