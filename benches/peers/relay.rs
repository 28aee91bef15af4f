//! This program as a relay that measures nothing.

use std::{net::SocketAddr, thread};

use anyhow::{Context, Result, anyhow};
use tokio::{net::TcpSocket, runtime::Builder};

use super::bare;

/// The first argument. The next ones are the kind of relay, its address, that of the upstream, and the number of
/// threads.
pub(crate) const COMMAND: &str = "relay";
/// [`bare::hyper`].
pub(crate) const HYPER: &str = "hyper";
/// [`bare::copy`].
pub(crate) const COPY: &str = "copy";

/// Runs until it is killed. Each thread has a runtime and a listening socket of its own, between which the system
/// divides the connections.
pub(crate) fn run(how: &str, rest: &[String]) -> Result<()> {
    let [addr, upstream, threads] = rest else { return Err(anyhow!("ADDR UPSTREAM THREADS")) };
    let (addr, upstream) = (addr.parse()?, upstream.parse()?);
    let threads: Vec<_> = (0..threads.parse()?)
        .map(|_| {
            let how = how.to_owned();
            thread::spawn(move || serve(&how, addr, upstream))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a relay panicked"))?)
}

fn serve(how: &str, addr: SocketAddr, upstream: SocketAddr) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(addr)?;
        let listener = socket.listen(4096)?;
        match how {
            HYPER => bare::hyper(listener, upstream).await.context("hyper"),
            COPY => bare::copy(listener, upstream).await.context("copy"),
            _ => Err(anyhow!("there is no such relay")),
        }
    })
}
