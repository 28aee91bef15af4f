//! The listening socket and its connections.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::Config;
use super::engine::Engine;
use super::truth::Truth;

/// Connections that may wait to be accepted. A benchmark opens thousands at once.
const BACKLOG: u32 = 4096;

/// The simulated Ollama, before it is bound.
#[derive(Debug)]
pub struct Simulator;

/// A simulated Ollama that has its port and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    engine: Arc<Engine>,
}

impl Simulator {
    /// Binds the port. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(config: Config) -> io::Result<Bound> {
        let socket = if config.listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(config.listen)?;
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        Ok(Bound { listener, addr, engine: Arc::new(Engine::new(config, addr)) })
    }
}

impl Bound {
    /// Returns the address it listens on, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the counters, which are valid while it runs and after.
    #[must_use]
    pub fn truth(&self) -> Arc<Truth> {
        self.engine.truth()
    }

    /// Serves until `shutdown` completes, then drops every connection, as Ollama does.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, Arc::clone(&self.engine)));
                    }
                    Err(error) => {
                        // The usual cause is a lack of file descriptors. Connections that end give some back.
                        tracing::warn!(%error, "the simulator cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }
}

async fn serve(stream: TcpStream, engine: Arc<Engine>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let engine = Arc::clone(&engine);
        Box::pin(async move { Ok::<_, Infallible>(engine.handle(request).await) })
    });
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let outcome = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if outcome.is_err_and(|error| error.is_user()) {
        // If a body broke off, the client must see a reset and not an end.
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "a connection ends without a reset");
        }
    }
}
