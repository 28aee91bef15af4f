//! Sockets that a service manager opens and passes on, as systemd's `.socket` units do.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, bail};
use listenfd::ListenFd;

use crate::sidecar::Builder;

/// The names of the sockets: `FileDescriptorName=` of a `.socket` unit.
const PROXY: &str = "proxy";
const ADMIN: &str = "admin";

/// The sockets that were passed on. The sidecar binds the others itself.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) proxy: Option<PassedSocket>,
    pub(super) admin: Option<PassedSocket>,
}

/// A passed socket that listens, and its address.
#[derive(Debug)]
pub(super) struct PassedSocket {
    pub(super) socket: TcpListener,
    pub(super) addr: SocketAddr,
}

impl Sockets {
    /// Takes the passed sockets. Call it before the process has threads, since it removes `LISTEN_FDS` from the
    /// environment, so that no child takes the sockets for its own.
    ///
    /// # Errors
    /// A socket with another name, a socket that does not listen for TCP, or two sockets with one name.
    pub(super) fn take() -> anyhow::Result<Sockets> {
        let names = names().context(
            "the service manager set LISTEN_FDS, LISTEN_PID or LISTEN_FDNAMES to an invalid value",
        )?;
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
                bail!("the service manager passes two sockets named {name}: pass at most one");
            }
            let socket = passed.take_tcp_listener(place);
            let socket =
                socket.with_context(|| format!("the service manager's socket {name} cannot be used"))?;
            *slot = socket.map(|socket| PassedSocket::new(socket, name)).transpose()?;
        }
        Ok(sockets)
    }

    /// Lets the sidecar serve on these sockets.
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
        let addr = socket
            .local_addr()
            .with_context(|| format!("cannot read the address of the service manager's socket {name}"))?;
        if socket2::SockRef::from(&socket).peer_addr().is_ok() {
            bail!("the service manager's socket {name} is a connection and does not listen: set Accept=no");
        }
        Ok(PassedSocket { socket, addr })
    }
}

/// The names of the sockets that are meant for this process.
fn names() -> io::Result<Vec<String>> {
    // Names without descriptors for this process are ignored.
    if sd_notify::listen_fds()?.len() == 0 {
        return Ok(Vec::new());
    }
    Ok(sd_notify::listen_fds_with_names()?.map(|(_, name)| name).collect())
}
