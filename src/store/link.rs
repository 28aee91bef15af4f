//! A connection to the store, and the calls on it.

use std::{sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, ServerErrorKind, Value, aio};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Notify,
    task::AbortHandle,
    time::timeout,
};
use url::Url;

use super::{
    config::{Config, DEFAULT_PORT, Server},
    failure::StoreFailure,
    script::Script,
};
use crate::tls::{self, Peer};

/// The most time for a connection: DNS lookup, TCP, TLS and the password.
const CONNECT: Duration = Duration::from_millis(500);

/// A connection. Calls of several tasks share it. The drop closes it.
#[derive(Debug)]
pub(super) struct StoreLink {
    pub(super) server: String,
    connection: aio::MultiplexedConnection,
    /// The digests of the scripts, as the server told them.
    digests: [String; 2],
    driver: AbortHandle,
    closed: Arc<Notify>,
}

impl Drop for StoreLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl StoreLink {
    /// Connects to a server, and loads the scripts.
    pub(super) async fn connect(server: &Server, config: &Config) -> Result<StoreLink, StoreFailure> {
        let name = server.to_string();
        let late = |_| StoreFailure::Late { server: name.clone(), limit: CONNECT };
        timeout(CONNECT, connect(server, &name, config)).await.map_err(late)?
    }

    /// Waits until the server closes the connection.
    pub(super) async fn closed(&self) -> StoreFailure {
        self.closed.notified().await;
        StoreFailure::Unreachable {
            server: self.server.clone(),
            why: "the server closed the connection".to_owned(),
        }
    }

    /// Runs a script. `write` adds its keys and arguments.
    pub(super) async fn call(
        &self,
        script: Script,
        limit: Duration,
        write: impl Fn(&mut redis::Cmd),
    ) -> Result<Value, StoreFailure> {
        let command = |name: &str, text: &str| {
            let mut command = redis::cmd(name);
            command.arg(text);
            write(&mut command);
            command
        };
        let called = async {
            let mut connection = self.connection.clone();
            let known = command("EVALSHA", &self.digests[script as usize]);
            match connection.send_packed_command(&known).await.and_then(Value::extract_error) {
                // The server was restarted, or its scripts were flushed.
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    let whole = command("EVAL", script.text());
                    connection.send_packed_command(&whole).await.and_then(Value::extract_error)
                }
                answered => answered,
            }
        };
        match timeout(limit, called).await {
            Ok(answered) => answered.map_err(|error| StoreFailure::of(&self.server, &error)),
            Err(_) => Err(StoreFailure::Late { server: self.server.clone(), limit }),
        }
    }
}

/// A connection for the text with keys. The drop closes it.
#[derive(Debug)]
pub(super) struct TextLink {
    server: String,
    connection: aio::MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for TextLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl TextLink {
    /// Connects to a server.
    pub(super) async fn connect(server: &Server, config: &Config) -> Result<TextLink, StoreFailure> {
        let name = server.to_string();
        let late = |_| StoreFailure::Late { server: name.clone(), limit: CONNECT };
        let connected = timeout(CONNECT, join(server, &name, config, Arc::default())).await.map_err(late)?;
        let (connection, driver) = connected?;
        Ok(TextLink { server: name, connection, driver })
    }

    /// The value of a key, at most one byte longer than this. An absent key has an empty one.
    pub(super) async fn text(&self, key: &str, longest: usize) -> Result<Vec<u8>, StoreFailure> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(key).arg(0).arg(longest);
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(|error| StoreFailure::of(&self.server, &error))
    }
}

async fn connect(server: &Server, name: &str, config: &Config) -> Result<StoreLink, StoreFailure> {
    let failed = |error| StoreFailure::of(name, &error);
    let closed = Arc::new(Notify::new());
    let (mut connection, driver) = join(server, name, config, closed.clone()).await?;
    let mut digests = [String::new(), String::new()];
    for script in [Script::Admit, Script::Settle] {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script.text());
        digests[script as usize] = load.query_async(&mut connection).await.map_err(failed)?;
    }
    Ok(StoreLink { server: name.to_owned(), connection, digests, driver, closed })
}

/// Connects, and drives the connection. `closed` is notified when the server closes it.
async fn join(
    server: &Server,
    name: &str,
    config: &Config,
    closed: Arc<Notify>,
) -> Result<(aio::MultiplexedConnection, AbortHandle), StoreFailure> {
    let info = info(config);
    let settings = AsyncConnectionConfig::new().set_response_timeout(None);
    let failed = |error| StoreFailure::of(name, &error);
    Ok(match open(server, name).await? {
        StoreSocket::Net(stream) => {
            let (connection, driver) =
                aio::MultiplexedConnection::new_with_config(&info, stream, settings).await.map_err(failed)?;
            (connection, spawn(driver, closed))
        }
        StoreSocket::Unix(stream) => {
            let (connection, driver) =
                aio::MultiplexedConnection::new_with_config(&info, stream, settings).await.map_err(failed)?;
            (connection, spawn(driver, closed))
        }
    })
}

/// Drives a connection, and tells when it is closed.
fn spawn(driver: impl Future<Output = ()> + Send + 'static, closed: Arc<Notify>) -> AbortHandle {
    let driving = async move {
        driver.await;
        closed.notify_one();
    };
    tokio::spawn(driving).abort_handle()
}

/// Subscribes to the channels of announcements.
pub(super) async fn subscribe(
    server: &Server,
    config: &Config,
    channels: &[String],
) -> Result<aio::PubSub, StoreFailure> {
    let name = server.to_string();
    let failed = |error| StoreFailure::of(&name, &error);
    let subscribed = async {
        let info = info(config);
        let mut hints = match open(server, &name).await? {
            StoreSocket::Net(stream) => aio::PubSub::new(&info, stream).await.map_err(failed)?,
            StoreSocket::Unix(stream) => aio::PubSub::new(&info, stream).await.map_err(failed)?,
        };
        hints.subscribe(channels).await.map_err(failed)?;
        Ok(hints)
    };
    let late = |_| StoreFailure::Late { server: name.clone(), limit: CONNECT };
    timeout(CONNECT, subscribed).await.map_err(late)?
}

fn info(config: &Config) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(i64::from(config.database)).set_skip_set_lib_name();
    if let Some(name) = &config.username {
        info = info.set_username(name);
    }
    if let Some(password) = &config.password {
        info = info.set_password(password.text());
    }
    info
}

enum StoreSocket {
    Net(tls::Stream),
    Unix(UnixStream),
}

async fn open(server: &Server, name: &str) -> Result<StoreSocket, StoreFailure> {
    let failed = |error| StoreFailure::of_socket(name, &error);
    match server {
        Server::Unix(path) => UnixStream::connect(path).await.map(StoreSocket::Unix).map_err(failed),
        Server::Tcp { url, trust } => {
            let stream = TcpStream::connect(address(url)).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            let Some(trust) = trust else { return Ok(StoreSocket::Net(tls::plain(stream))) };
            let peer = Peer::new(url, Some(trust)).map_err(|unusable| StoreFailure::Unreachable {
                server: name.to_owned(),
                why: unusable.to_string(),
            })?;
            peer.connect(stream).await.map(StoreSocket::Net).map_err(failed)
        }
    }
}

fn address(url: &Url) -> (&str, u16) {
    let host = url.host_str().unwrap_or("localhost");
    (host.trim_start_matches('[').trim_end_matches(']'), url.port().unwrap_or(DEFAULT_PORT))
}
