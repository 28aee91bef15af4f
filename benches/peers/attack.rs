//! Attacks by clients on raw sockets: the fate of each attacker, the cost of the attack, and whether an honest
//! client is still answered.

mod client;
mod fate;
mod idle;
mod reading;
mod slow_body;
mod slow_head;
mod smuggling;
mod trial;
mod unread;
mod upstream;
mod wave;

use anyhow::Result;

use super::{Plan, peer::Kind};
use upstream::Upstream;

pub(crate) async fn measure(plan: &Plan) -> Result<()> {
    let kinds = kinds(plan);
    let upstream = Upstream::start()?;
    for trial in
        [slow_head::trial(), slow_body::trial(), idle::trial(), idle::more_than_allowed(), unread::trial()]
    {
        trial.run(&kinds, &upstream).await?;
    }
    smuggling::measure(&kinds, &upstream).await
}

/// The peers whose limits can be configured.
fn kinds(plan: &Plan) -> Vec<Kind> {
    let (kinds, others): (Vec<_>, Vec<_>) = Kind::all(plan).into_iter().partition(Kind::can_be_limited);
    if !others.is_empty() {
        println!("attack: compared with nginx only");
    }
    kinds
}

/// The number of connections: `wanted`, or fewer if the descriptors of a peer do not suffice, which needs two for
/// each connection. Also returns the number for a title.
fn affordable(wanted: usize) -> (usize, String) {
    use rustix::process::{Resource, getrlimit};
    const OTHERS: u64 = 400;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let enough = usize::try_from(limit.saturating_sub(OTHERS) / 2).unwrap_or(wanted);
    if enough < wanted {
        (enough, format!("{enough} (not {wanted}: {limit} descriptors)"))
    } else {
        (wanted, wanted.to_string())
    }
}
