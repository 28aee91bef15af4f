//! Measures what a proxy costs without a request: CPU time, and the memory of connections that wait for one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{
    Plan,
    peer::{Kind, Peer},
    simulator,
    spread::{rows, table},
};

/// The time after which a sidecar without requests reads its surroundings less often.
const CALM: Duration = Duration::from_secs(35);
const SECONDS: u64 = 20;
/// The time in which a proxy frees what only the request needed.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (_simulator, ollama) = simulator::apart(&plan.ours, 0, 1)?;
    let kinds = Kind::all(plan);
    let mut costs = Vec::new();
    let mut sizes = rows([]);
    for _ in 0..plan.rounds {
        let peers = kinds.iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
        let rows = || rows(peers.iter().map(|peer| peer.name.as_str()));
        if sizes.is_empty() {
            (costs, sizes) = (rows(), rows());
        }
        sleep(CALM).await;
        // All of them at once, since none disturbs another.
        let before = peers.iter().map(|peer| peer.process.scheduled()).collect::<Result<Vec<_>>>()?;
        sleep(Duration::from_secs(SECONDS)).await;
        for ((peer, before), row) in peers.iter().zip(before).zip(&mut costs) {
            let used = peer.process.scheduled()?.saturating_sub(before);
            row.1.push(used.as_secs_f64() / SECONDS as f64 * 100.0);
        }
        for (peer, row) in peers.iter().zip(&mut sizes) {
            let size = size(peer, plan.many).await.with_context(|| format!("through {}", peer.name))?;
            row.1.push(size / 1024.0);
        }
    }
    table("idle, % of a core", &costs);
    table(&format!("KiB per connection that waits for a request, {}", plan.many), &sizes);
    Ok(())
}

/// The memory of each of these connections, after one request on each.
async fn size(peer: &Peer, connections: usize) -> Result<f64> {
    drop(asked(peer).await?);
    sleep(SETTLE).await;
    let before = peer.process.resident()?;
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(asked(peer).await?);
    }
    sleep(SETTLE).await;
    Ok(peer.process.resident()?.saturating_sub(before) as f64 / connections as f64)
}

/// A connection whose request has been answered.
async fn asked(peer: &Peer) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(peer.addr).await?;
    connection.write_all(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") && !answer.ends_with(b"}\n") && !answer.ends_with(b"0\r\n\r\n") {
        ensure!(connection.read_buf(&mut answer).await? > 0, "the connection ended");
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(connection)
}
