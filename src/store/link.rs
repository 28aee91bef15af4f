//! A connection to the store, and the calls on it.

use std::{io, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, ServerErrorKind, Value, aio};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};
use url::Url;

use super::{
    config::{Config, DEFAULT_PORT, Server},
    failure::{self, StoreFailure},
    place::StorePlace,
    script::{self, Names, Script},
};
use crate::tls::{self, Peer};

/// The most time for a connection: DNS lookup, TCP, TLS and the password.
const CONNECT: Duration = Duration::from_millis(500);

/// A connection. Calls of several tasks share it. The drop closes it.
#[derive(Debug)]
pub(super) struct StoreLink {
    pub(super) place: StorePlace,
    connection: aio::MultiplexedConnection,
    /// The key and the channel on which the rights of the user are tried.
    trial: [String; 2],
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
    /// Connects to a server, and loads the scripts. Fails if the user of the server may not run them.
    pub(super) async fn connect(
        server: &Server,
        config: &Config,
        names: &Names,
    ) -> Result<StoreLink, StoreFailure> {
        let (place, until) = (StorePlace::new(server, config), Instant::now() + CONNECT);
        let closed = Arc::new(Notify::new());
        let (connection, driver) = join(server, &place, config, until, closed.clone()).await?;
        let (trial, digests) = ([names.trial(), names.channel()], [String::new(), String::new()]);
        let mut link = StoreLink { place, connection, trial, digests, driver, closed };
        link.digests = timeout_at(until, link.load()).await.map_err(|_| late(&link.place))??;
        Ok(link)
    }

    /// Tries the rights of the user, and loads the scripts.
    async fn load(&self) -> Result<[String; 2], StoreFailure> {
        let failed = |error| StoreFailure::of_start(&self.place, &error);
        let missing = self.missing().await.map_err(failed)?;
        if !missing.is_empty() {
            return Err(StoreFailure::lacking(&self.place, &missing));
        }
        let mut digests = [String::new(), String::new()];
        for script in [Script::Admit, Script::Settle] {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.text());
            digests[script as usize] =
                load.query_async(&mut self.connection.clone()).await.map_err(failed)?;
        }
        Ok(digests)
    }

    /// What the user may not do.
    async fn missing(&self) -> redis::RedisResult<Vec<String>> {
        let mut command = redis::cmd("EVAL");
        let [key, channel] = &self.trial;
        command.arg(script::RIGHTS).arg(1).arg(key).arg(channel);
        match command.query_async(&mut self.connection.clone()).await? {
            Value::Array(words) => {
                words.iter().map(redis::from_redis_value_ref).map(|word| Ok(word?)).collect()
            }
            // One value would be read as a list of one.
            _ => Err((ErrorKind::UnexpectedReturnType, "the answer is no list").into()),
        }
    }

    /// Waits until the server closes the connection.
    pub(super) async fn closed(&self) -> StoreFailure {
        self.closed.notified().await;
        StoreFailure::Closed { server: self.place.server() }
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
        let named = async {
            let error = match called.await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // The error of a script does not always name the command that the user may not run.
            Err(match failure::is_of_rights(&error).then_some(self.missing()) {
                Some(trying) => match trying.await {
                    Ok(missing) if !missing.is_empty() => StoreFailure::lacking(&self.place, &missing),
                    _ => StoreFailure::of(&self.place, &error),
                },
                None => StoreFailure::of(&self.place, &error),
            })
        };
        let advice = "look at its load and at the network, or raise shared.deadline";
        let late = |_| StoreFailure::Late { server: self.place.server(), limit, advice };
        timeout(limit, named).await.map_err(late)?
    }
}

/// A connection for the text with keys. The drop closes it.
#[derive(Debug)]
pub(super) struct TextLink {
    place: StorePlace,
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
        let (place, until) = (StorePlace::new(server, config), Instant::now() + CONNECT);
        let (connection, driver) = join(server, &place, config, until, Arc::default()).await?;
        Ok(TextLink { place, connection, driver })
    }

    /// The value of a key, at most one byte longer than this. An absent key has an empty one.
    pub(super) async fn text(&self, key: &str, longest: usize) -> Result<Vec<u8>, StoreFailure> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(key).arg(0).arg(longest);
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(|error| StoreFailure::of(&self.place, &error))
    }
}

/// The server has not answered the first commands.
fn late(place: &StorePlace) -> StoreFailure {
    let advice = "look at its load, or correct shared.url if it is no Redis";
    StoreFailure::Late { server: place.server(), limit: CONNECT, advice }
}

/// Connects, and drives the connection. `closed` is notified when the server closes it.
async fn join(
    server: &Server,
    place: &StorePlace,
    config: &Config,
    until: Instant,
    closed: Arc<Notify>,
) -> Result<(aio::MultiplexedConnection, AbortHandle), StoreFailure> {
    let socket = open(server, place, until).await?;
    let info = info(config);
    let joined = async {
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(match socket {
            StoreSocket::Net(stream) => {
                let (connection, driver) =
                    aio::MultiplexedConnection::new_with_config(&info, stream, settings).await?;
                (connection, spawn(driver, closed))
            }
            StoreSocket::Unix(stream) => {
                let (connection, driver) =
                    aio::MultiplexedConnection::new_with_config(&info, stream, settings).await?;
                (connection, spawn(driver, closed))
            }
        })
    };
    let failed = |error| StoreFailure::of_start(place, &error);
    timeout_at(until, joined).await.map_err(|_| late(place))?.map_err(failed)
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
    let (place, until) = (StorePlace::new(server, config), Instant::now() + CONNECT);
    let socket = open(server, &place, until).await?;
    let subscribed = async {
        let info = info(config);
        let mut hints = match socket {
            StoreSocket::Net(stream) => aio::PubSub::new(&info, stream).await?,
            StoreSocket::Unix(stream) => aio::PubSub::new(&info, stream).await?,
        };
        hints.subscribe(channels).await?;
        Ok(hints)
    };
    let failed = |error| StoreFailure::of_start(&place, &error);
    timeout_at(until, subscribed).await.map_err(|_| late(&place))?.map_err(failed)
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

async fn open(server: &Server, place: &StorePlace, until: Instant) -> Result<StoreSocket, StoreFailure> {
    let failed = |error| StoreFailure::of_socket(place, &error);
    let late = |advice| move |_| StoreFailure::Late { server: place.server(), limit: CONNECT, advice };
    let unaccepted = late("start it, correct shared.url, or look at the network");
    match server {
        Server::Unix(path) => {
            let connected = timeout_at(until, UnixStream::connect(path)).await.map_err(unaccepted)?;
            connected.map(StoreSocket::Unix).map_err(failed)
        }
        Server::Tcp { url, trust } => {
            let connected = timeout_at(until, TcpStream::connect(address(url))).await.map_err(unaccepted)?;
            let stream = connected.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            // What a partition held back must not arrive after the calls of a later connection.
            stream.set_zero_linger().map_err(failed)?;
            let Some(trust) = trust else { return Ok(StoreSocket::Net(tls::plain(stream))) };
            let peer = Peer::new(url, Some(trust)).map_err(|unusable| {
                StoreFailure::of_socket(place, &io::Error::other(unusable.to_string()))
            })?;
            let secured = timeout_at(until, peer.connect(stream)).await.map_err(late(failure::NO_TLS))?;
            secured.map(StoreSocket::Net).map_err(|error| StoreFailure::of_handshake(place, &error))
        }
    }
}

fn address(url: &Url) -> (&str, u16) {
    let host = url.host_str().unwrap_or("localhost");
    (host.trim_start_matches('[').trim_end_matches(']'), url.port().unwrap_or(DEFAULT_PORT))
}
