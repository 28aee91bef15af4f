//! One message with two readings: how many requests are there behind a peer?

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

/// Peers wait this long for what does not come.
const PATIENCE: Duration = Duration::from_secs(1);
/// A peer that has not ended an attack by then is asked no longer.
const LONGEST: Duration = Duration::from_secs(5);
/// What an honest client asks between two attacks.
const HONEST: &str = "/honest";

/// What a peer made of a form.
#[derive(Debug)]
struct Made {
    /// Of the first answer; `None`: the connection was closed without one.
    status: Option<u16>,
    /// Whole requests behind it, by the reading that has the most.
    whole: usize,
    /// A request that begins and does not end.
    begun: bool,
    /// The next honest request did not get its own answer.
    poisoned: bool,
}

pub(super) async fn measure(kinds: &[Kind], upstream: &Upstream) -> Result<()> {
    let limits = Limits { head: PATIENCE, body: PATIENCE, connections: 1024 };
    let peers = kinds
        .iter()
        .map(|kind| kind.start_limited(upstream.addr, Some(&limits)))
        .collect::<Result<Vec<_>>>()?;
    let names = peers.iter().map(|peer| format!("{:>26}", peer.name)).collect::<String>();
    println!("\n{:<52}{names}", "status / requests upstream, of one message");
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
    // What was hidden in the form has come before this is answered.
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

/// Sends bytes; what comes back until the connection ends.
async fn send(addr: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let until = Instant::now() + LONGEST;
    let mut connection = timeout(LONGEST, TcpStream::connect(addr)).await??;
    // Who is refused early cannot write the rest.
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
