//! Measures requests whose response is not a stream, with wrk.

use std::process::Command;

use anyhow::{Context, Result};

use super::{
    Plan,
    peer::{Kind, find},
    simulator,
    spread::{rows, table, turns},
};

const CONNECTIONS: &str = "64";
const SECONDS: &str = "5s";

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let wrk = find("wrk").context("no wrk: install it with tests/real/install.sh")?;
    let (_simulator, ollama) = simulator::apart(&plan.ours, 0, 1)?;
    let peers = Kind::all(plan).iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
    let rows = || rows(peers.iter().map(|peer| peer.name.as_str()));
    let (mut rates, mut costs) = (rows(), rows());
    for turn in turns(plan.rounds, peers.len()) {
        let peer = &peers[turn];
        let cpu = peer.process.cpu()?;
        let mut command = Command::new(&wrk);
        command.args(["-t", "1", "-c", CONNECTIONS, "-d", SECONDS]);
        let output = command.arg(format!("http://{}/api/version", peer.addr)).output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(!told.contains("Non-2xx"), "{} refuses some: {told}", peer.name);
        let rate = told.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        rates[turn].1.push(rate.context("wrk printed no rate")?.trim().parse::<f64>()? / 1e3);
        let requests = told.lines().find_map(|line| line.trim().split_once(" requests in "));
        let requests: f64 = requests.context("wrk printed no count")?.0.parse()?;
        costs[turn].1.push((peer.process.cpu()? - cpu).as_secs_f64() * 1e6 / requests);
    }
    table(&format!("thousand requests/s, {CONNECTIONS} connections"), &rates);
    table("CPU µs per request", &costs);
    Ok(())
}
