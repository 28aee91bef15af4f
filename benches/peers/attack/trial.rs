//! Runs one attack on each peer, with an honest client at the same time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::interval;

use super::{
    client::{Client, Manners},
    fate::Fates,
    upstream::Upstream,
    wave::Wave,
};
use crate::{
    load::locally,
    peer::{Kind, Limits},
    process::Process,
    spread::Spread,
};

/// The time for which the client runs before the attack.
const QUIET: Duration = Duration::from_secs(2);
const SAMPLE: Duration = Duration::from_millis(50);

/// An attack, and the limits that peers enforce during it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) title: String,
    pub(super) limits: Limits,
    pub(super) wave: Wave,
    /// Whether the client may be refused for lack of room.
    pub(super) may_turn_away: bool,
}

impl Trial {
    /// Prints two lines for each peer, before and during the attack, and the fates of attackers and of the client.
    pub(super) async fn run(&self, kinds: &[Kind], upstream: &Upstream) -> Result<()> {
        println!("\n{}", self.title);
        let heads = ["MiB", "KiB each", "unary p50", "p99 ms", "stream p50", "p99 ms", "answered"];
        println!("  {:<28}{}", "", heads.map(|head| format!("{head:>11}")).concat());
        for kind in kinds {
            self.on(kind, upstream).await?;
        }
        Ok(())
    }

    async fn on(&self, kind: &Kind, upstream: &Upstream) -> Result<()> {
        let peer = kind.start_limited(upstream.addr, Some(&self.limits))?;
        let client = Client::start(&peer);
        tokio::time::sleep(QUIET).await;
        let quiet = client.end().await?;
        let before = peer.process.resident()?;
        let client = Client::start(&peer);
        let (fates, peak) = locally(async {
            let mut peak = before;
            tokio::select! {
                fates = self.wave.run(peer.addr) => anyhow::Ok((fates?, peak)),
                failed = watch(&peer.process, &mut peak) => Err(failed.err().context("the watch ended")?),
            }
        })
        .await
        .with_context(|| format!("attacking {}", peer.name))?;
        let manners = client.end().await?;
        let each = peak.saturating_sub(before) as f64 / self.wave.connections as f64 / 1024.0;
        line(&format!("{}, before", peer.name), before, None, &quiet);
        line(&peer.name, peak, Some(each), &manners);
        said(&fates, &manners);
        if matches!(kind, Kind::Streamgauge { .. }) {
            ensure!(
                quiet.harmed.is_empty(),
                "{} failed the client without an attack: {:?}",
                peer.name,
                quiet.harmed
            );
            let is_served = manners.harmed.is_empty() || self.may_turn_away;
            ensure!(is_served, "{} failed the honest client: {:?}", peer.name, manners.harmed);
        }
        Ok(())
    }
}

/// Records the peak of a process's memory. Ends only if the memory cannot be read.
async fn watch(process: &Process, peak: &mut u64) -> Result<()> {
    let mut clock = interval(SAMPLE);
    loop {
        clock.tick().await;
        *peak = process.resident()?.max(*peak);
    }
}

fn line(name: &str, resident: u64, each: Option<f64>, manners: &Manners) {
    let each = each.map_or_else(String::new, |each| format!("{each:.1}"));
    let [unary, stream] = [&manners.unary, &manners.stream].map(|times| {
        let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        quantiles(times).map(|quantile| format!("{:>11}", figure(quantile))).concat()
    });
    let answered = manners.unary.len() + manners.stream.len();
    let asked = answered + manners.harmed.values().sum::<usize>();
    let answered = format!("{answered}/{asked}");
    println!("  {name:<28}{:>11.1}{each:>11}{unary}{stream}{answered:>11}", resident as f64 / 1048576.0);
}

fn said(fates: &Fates, manners: &Manners) {
    println!("    attackers: {fates}");
    if !manners.harmed.is_empty() {
        let harmed: Vec<_> = manners.harmed.iter().map(|(how, count)| format!("{count} {how}")).collect();
        println!("    failures of the client: {}", harmed.join(", "));
    }
    if let [Some(p50), Some(p99)] = quantiles(&manners.admin) {
        let answered = manners.admin.len();
        let asked = answered + manners.unscraped;
        println!("    /metrics: {answered} of {asked} answered, p50 {p50:.1} ms, p99 {p99:.1}");
    }
}

/// The median and the 99th percentile.
fn quantiles(times: &[f64]) -> [Option<f64>; 2] {
    let spread = (!times.is_empty()).then(|| Spread::from(times.to_vec()));
    [0.5, 0.99].map(|share| Some(spread.as_ref()?.quantile(share)))
}
