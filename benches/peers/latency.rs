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
    spread::{Spread, rows, table, turns},
};

const MARGIN: Duration = Duration::from_secs(1);
const DAY: f64 = 86_400.0;
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
const CLOCKS: [&str; 2] = ["stamp", "schedule"];

/// The ages of records at their arrival, seconds.
#[derive(Debug)]
pub(crate) struct Ages {
    rate: f64,
    pub(crate) from_stamp: Vec<f64>,
    /// From the time at which the record was due, whether the simulator had the time to send it or not: the first
    /// record of the stream, and an interval for each further one.
    from_schedule: Vec<f64>,
}

impl Ages {
    pub(crate) fn of(rate: u32) -> Ages {
        Ages { rate: rate.into(), from_stamp: Vec::new(), from_schedule: Vec::new() }
    }

    /// Notes the record at `place` of a stream, whose first record has the stamp `first`.
    pub(crate) fn came(&mut self, stamp: f64, first: f64, place: usize) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = (now.as_secs() % 86_400) as f64 + f64::from(now.subsec_nanos()) / 1e9;
        // The two times may be on both sides of midnight.
        let since = |time: f64| (now - time + DAY / 2.0).rem_euclid(DAY) - DAY / 2.0;
        self.from_stamp.push(since(stamp));
        self.from_schedule.push(since(first + place as f64 / self.rate));
        Ok(())
    }
}

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let (streams, rate, seconds) = (plan.streams, plan.rate, plan.seconds);
    let further: &[&str] = if plan.steady { &["--jitter", "0"] } else { &[] };
    let (_simulator, ollama) = simulator::start(&plan.ours, rate, rate * (seconds + 3), further)?;
    let reference = Rc::new(Reference::learn(ollama).await?);
    let peers = Kind::all(plan).iter().map(|kind| kind.start(ollama)).collect::<Result<Vec<_>>>()?;
    let mut targets: Vec<_> = peers.iter().map(|peer| (peer.name.as_str(), peer.addr)).collect();
    targets.insert(0, ("direct, with no proxy", ollama));
    let mut tables = CLOCKS.map(|_| SHARES.map(|_| rows(targets.iter().map(|(name, _)| *name))));
    for turn in turns(plan.rounds, targets.len()) {
        let (name, addr) = targets[turn];
        let ages = locally(async {
            let load = Load::start(addr, streams, &reference, plan.start);
            load.started().await?;
            tokio::time::sleep(MARGIN).await;
            load.time(rate);
            tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            let ages = load.timed().context("nothing was recorded")?;
            load.end().await?;
            anyhow::Ok(ages)
        });
        let ages = ages.await.with_context(|| format!("through {name}"))?;
        for (table, ages) in tables.iter_mut().zip([ages.from_stamp, ages.from_schedule]) {
            let late = Spread::from(ages);
            for ((_, share), rows) in SHARES.iter().zip(table) {
                rows[turn].1.push(late.quantile(*share) * 1e6);
            }
        }
    }
    // With unequal intervals, only the simulator knows when a record was due.
    for (clock, shares) in CLOCKS.iter().zip(&tables).take(if plan.steady { 2 } else { 1 }) {
        for ((title, _), rows) in SHARES.iter().zip(shares) {
            table(&format!("{title} of µs from {clock}, {streams} × {rate}/s, {}", plan.start), rows);
        }
    }
    Ok(())
}

/// The stamp of a record in seconds of its day; `None` if it has none.
pub(crate) fn stamp(record: &[u8]) -> Option<f64> {
    let key = b"\"created_at\":\"";
    let stamp = record.get(memchr::memmem::find(record, key)? + key.len()..)?;
    let stamp = std::str::from_utf8(stamp.get(..memchr::memchr(b'Z', stamp)?)?).ok()?;
    let (_, time) = stamp.split_once('T')?;
    let mut parts = time.split(':');
    let (hours, minutes): (f64, f64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((hours * 60.0 + minutes) * 60.0 + parts.next()?.parse::<f64>().ok()?)
}
