//! Measures the time from the simulator's stamp in a record to the record's arrival at the client.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use super::{
    Plan,
    load::{Load, locally},
    peer::Kind,
    reference::Reference,
    simulator,
    spread::{rows, table, turns},
};

const MARGIN: Duration = Duration::from_secs(1);
const DAY: f64 = 86_400.0;
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (streams, rate, seconds) = (plan.streams, plan.rate, plan.seconds);
    let (_simulator, ollama) = simulator::apart(&plan.ours, rate, rate * (seconds + 4))?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let peers = Kind::all(plan).iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
    let mut targets: Vec<_> = peers.iter().map(|peer| (peer.name.as_str(), peer.addr)).collect();
    targets.insert(0, ("direct, with no proxy", ollama));
    let mut rows = SHARES.map(|_| rows(targets.iter().map(|(name, _)| *name)));
    for turn in turns(plan.rounds, targets.len()) {
        let (name, addr) = targets[turn];
        let late = locally(async {
            let load = Load::open(addr, streams, &reference);
            load.started().await?;
            tokio::time::sleep(MARGIN).await;
            load.time();
            tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            let late = load.timed();
            load.end().await?;
            anyhow::Ok(late)
        });
        let late = late.await.with_context(|| format!("through {name}"))?;
        for ((_, share), rows) in SHARES.iter().zip(&mut rows) {
            rows[turn].1.push(late.quantile(*share) * 1e6);
        }
    }
    for ((title, _), rows) in SHARES.iter().zip(&rows) {
        table(&format!("{title} of µs from stamp to client, {streams} × {rate}/s"), rows);
    }
    Ok(())
}

/// The seconds from the stamp of a record until now; `None` if it has no stamp.
pub(crate) fn age(record: &[u8]) -> Option<f64> {
    let key = b"\"created_at\":\"";
    let stamp = record.get(memchr::memmem::find(record, key)? + key.len()..)?;
    let stamp = std::str::from_utf8(stamp.get(..memchr::memchr(b'Z', stamp)?)?).ok()?;
    let (_, time) = stamp.split_once('T')?;
    let mut parts = time.split(':');
    let (hours, minutes): (f64, f64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let stamped = (hours * 60.0 + minutes) * 60.0 + parts.next()?.parse::<f64>().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = (now.as_secs() % 86_400) as f64 + f64::from(now.subsec_nanos()) / 1e9;
    // The two times may be on both sides of midnight.
    Some((now - stamped + DAY / 2.0).rem_euclid(DAY) - DAY / 2.0)
}
