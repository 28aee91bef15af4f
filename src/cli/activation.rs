//! Sockets that a service manager holds and hands over, as systemd's `.socket` units do.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, bail};
use listenfd::ListenFd;

use crate::sidecar::Builder;

/// The names that the sockets have, `FileDescriptorName=` of a `.socket` unit.
const PROXY: &str = "proxy";
const ADMIN: &str = "admin";

/// What was handed over; what was not is bound by ourselves.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) proxy: Option<PassedSocket>,
    pub(super) admin: Option<PassedSocket>,
}

/// A socket that listens, and where.
#[derive(Debug)]
pub(super) struct PassedSocket {
    pub(super) socket: TcpListener,
    pub(super) addr: SocketAddr,
}

impl Sockets {
    /// Takes them. Call it before there are threads: it takes `LISTEN_FDS` out of the environment, so that no child
    /// takes them for its own.
    ///
    /// # Errors
    /// One that has another name, one that does not listen for TCP, or two of one name.
    pub(super) fn take() -> anyhow::Result<Sockets> {
        let names = names().context("the service manager's LISTEN_FDS make no sense")?;
        let mut sockets = Sockets::default();
        if names.is_empty() {
            return Ok(sockets);
        }
        let mut passed = ListenFd::from_env();
        for (place, name) in names.iter().enumerate() {
            let slot = match name.as_str() {
                PROXY => &mut sockets.proxy,
                ADMIN => &mut sockets.admin,
                other => bail!(
                    "the service manager passes a socket named {other:?}: set its FileDescriptorName= to {PROXY} or {ADMIN}"
                ),
            };
            if slot.is_some() {
                bail!("the service manager passes two sockets named {name}: it can be one");
            }
            let socket = passed.take_tcp_listener(place);
            let socket =
                socket.with_context(|| format!("the socket that is passed as {name} is of no use"))?;
            *slot = socket.map(|socket| PassedSocket::new(socket, name)).transpose()?;
        }
        Ok(sockets)
    }

    /// A sidecar serves on them.
    pub(super) fn give(self, mut builder: Builder) -> Builder {
        if let Some(PassedSocket { socket, .. }) = self.proxy {
            builder = builder.proxy_socket(socket);
        }
        if let Some(PassedSocket { socket, .. }) = self.admin {
            builder = builder.admin_socket(socket);
        }
        builder
    }
}

impl PassedSocket {
    fn new(socket: TcpListener, name: &str) -> anyhow::Result<PassedSocket> {
        let addr =
            socket.local_addr().with_context(|| format!("where the socket {name} listens is unknown"))?;
        if socket2::SockRef::from(&socket).peer_addr().is_ok() {
            bail!("the socket that is passed as {name} is a connection and does not listen: set Accept=no");
        }
        Ok(PassedSocket { socket, addr })
    }
}

/// The names of those that are for this process.
fn names() -> io::Result<Vec<String>> {
    // Names alone are judged although nothing is for us.
    if sd_notify::listen_fds()?.len() == 0 {
        return Ok(Vec::new());
    }
    Ok(sd_notify::listen_fds_with_names()?.map(|(_, name)| name).collect())
}
