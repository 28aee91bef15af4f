//! Messages that two servers may parse differently: how many requests reach the upstream of a peer?

mod form;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{
    reading::{self, Framing},
    upstream::Upstream,
    wave,
};
use crate::peer::{Kind, Limits};
use form::Form;

/// How long a peer waits for the rest of a message.
const PATIENCE: Duration = Duration::from_secs(1);
/// A peer that has not ended an attack by then is given up.
const LONGEST: Duration = Duration::from_secs(5);
/// The request of an honest client between two attacks.
const HONEST: &str = "/honest";

/// How a peer handled a form.
#[derive(Debug)]
struct Made {
    /// The status of the first response; `None`: the connection closed without one.
    status: Option<u16>,
    /// The complete requests at the upstream, by the parser that finds the most.
    whole: usize,
    /// Whether a request began and did not end.
    begun: bool,
    /// Whether the next honest request did not get its own response.
    poisoned: bool,
}

pub(super) async fn measure(kinds: &[Kind], upstream: &Upstream) -> Result<()> {
    let limits = Limits { head: PATIENCE, body: PATIENCE, connections: 1024 };
    let peers = kinds
        .iter()
        .map(|kind| kind.start_limited(upstream.addr, Some(&limits)))
        .collect::<Result<Vec<_>>>()?;
    let names = peers.iter().map(|peer| format!("{:>26}", peer.name)).collect::<String>();
    println!("\n{:<52}{names}", "status / requests at the upstream, per message");
    let mut holes = Vec::new();
    for form in form::all() {
        let mut line = format!("  {:<50}", form.name);
        for peer in &peers {
            let made = attack(peer.addr, &form, upstream).await?;
            if made.is_hole() && peer.admin.is_some() {
                holes.push(format!("{} through {}: {made:?}", form.name, peer.name));
            }
            line += &format!("{:>26}", made.to_string());
        }
        println!("{line}");
    }
    ensure!(holes.is_empty(), "{}", holes.join("\n"));
    Ok(())
}

async fn attack(addr: SocketAddr, form: &Form, upstream: &Upstream) -> Result<Made> {
    upstream.take();
    let answer = send(addr, form.bytes.as_bytes()).await?;
    // A request that was hidden in the form arrives before this one is answered.
    let honest = format!("GET {HONEST} HTTP/1.1\r\nHost: honest\r\nConnection: close\r\n\r\n");
    let honest = send(addr, honest.as_bytes()).await?;
    let came = upstream.take();
    let count = |framing| {
        let all = came.iter().flat_map(|came| reading::requests(came, framing));
        let hostile = all.filter(|request| request.target != HONEST && !request.target.starts_with("/api/"));
        let (whole, begun): (Vec<_>, Vec<_>) = hostile.partition(|request| request.end.is_some());
        (whole.len(), !begun.is_empty())
    };
    let readings = [Framing::Coding, Framing::Length].map(count);
    Ok(Made {
        status: wave::status(&answer),
        whole: readings.iter().map(|(whole, _)| *whole).max().unwrap_or_default(),
        begun: readings.iter().any(|(_, begun)| *begun),
        poisoned: wave::status(&honest) != Some(200) || !honest.ends_with(HONEST.as_bytes()),
    })
}

/// Sends bytes and returns all that comes back until the connection ends.
async fn send(addr: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let until = Instant::now() + LONGEST;
    let mut connection = timeout(LONGEST, TcpStream::connect(addr)).await??;
    // A client that is refused early cannot write the rest.
    let _ = connection.write_all(bytes).await;
    let mut answer = Vec::new();
    while let Ok(Ok(1..)) = timeout_at(until, connection.read_buf(&mut answer)).await {}
    Ok(answer)
}

impl Made {
    fn is_hole(&self) -> bool {
        self.whole > 1 || self.poisoned
    }
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.map_or_else(|| "closed".to_owned(), |status| status.to_string());
        let begun = if self.begun { " + part" } else { "" };
        let poisoned = if self.poisoned { " POISONED" } else { "" };
        let whole = if self.whole > 1 { format!("{} HOLE", self.whole) } else { self.whole.to_string() };
        f.pad(&format!("{status} / {whole}{begun}{poisoned}"))
    }
}
