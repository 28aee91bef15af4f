//! An honest client, which compares each of its responses byte for byte.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, JoinSet, LocalSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{upstream, wave};
use crate::{peer::Peer, stream::Stream};

/// The pause between two requests.
const EACH: Duration = Duration::from_millis(100);
/// The longest accepted time of a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends ten small requests and ten streams per second, each on a new connection, from a thread of its own.
pub(super) struct Client {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Result<Manners>>,
}

/// The results of the client. Times are in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Manners {
    pub(super) unary: Vec<f64>,
    pub(super) stream: Vec<f64>,
    /// The times of `/metrics`, of streamgauge only.
    pub(super) admin: Vec<f64>,
    /// How often `/metrics` was not answered.
    pub(super) unscraped: usize,
    /// The failures and their counts.
    pub(super) harmed: BTreeMap<String, usize>,
}

enum Asked {
    Unary,
    Stream,
    Metrics,
}

impl Client {
    pub(super) fn start(peer: &Peer) -> Client {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, addr, admin) = (stop.clone(), peer.addr, peer.admin);
        let asking = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(LocalSet::new().run_until(ask(addr, admin, &stopped))))
        });
        Client { stop, asking }
    }

    /// Waits for the responses that are still to come.
    pub(super) async fn end(self) -> Result<Manners> {
        self.stop.store(true, Relaxed);
        self.asking.await?
    }
}

async fn ask(addr: SocketAddr, admin: Option<SocketAddr>, stop: &AtomicBool) -> Manners {
    let mut manners = Manners::default();
    let mut asking = JoinSet::new();
    let mut clock = interval(EACH);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Relaxed) {
        tokio::select! {
            _ = clock.tick() => {
                asking.spawn_local(timed(Asked::Unary, unary(addr)));
                asking.spawn_local(timed(Asked::Stream, stream(addr)));
                if let Some(admin) = admin {
                    asking.spawn_local(timed(Asked::Metrics, metrics(admin)));
                }
            }
            Some(ended) = asking.join_next() => manners.note(ended.map_err(Into::into)),
        }
    }
    while let Some(ended) = asking.join_next().await {
        manners.note(ended.map_err(Into::into));
    }
    manners
}

async fn timed(asked: Asked, answer: impl Future<Output = Result<()>>) -> (Asked, Result<f64>) {
    let began = Instant::now();
    let answered = match timeout(PATIENCE, answer).await {
        Ok(answered) => answered.map(|()| began.elapsed().as_secs_f64() * 1e3),
        Err(_) => Err(anyhow::anyhow!("no response within {} s", PATIENCE.as_secs())),
    };
    (asked, answered)
}

impl Manners {
    fn note(&mut self, ended: Result<(Asked, Result<f64>)>) {
        match ended {
            Ok((Asked::Unary, Ok(took))) => self.unary.push(took),
            Ok((Asked::Stream, Ok(took))) => self.stream.push(took),
            Ok((Asked::Metrics, Ok(took))) => self.admin.push(took),
            Ok((Asked::Metrics, Err(_))) => self.unscraped += 1,
            Ok((_, Err(why))) | Err(why) => *self.harmed.entry(why.to_string()).or_default() += 1,
        }
    }
}

async fn unary(addr: SocketAddr) -> Result<()> {
    let answer = get(addr, "/api/version").await?;
    match wave::status(&answer) {
        Some(200) => {}
        Some(status) => bail!("refused with {status}"),
        None => bail!("cut"),
    }
    ensure!(answer.ends_with(upstream::VERSION.as_bytes()), "the response has wrong bytes");
    Ok(())
}

async fn stream(addr: SocketAddr) -> Result<()> {
    let mut stream = Stream::open(addr).await?;
    for place in 0..upstream::RECORDS {
        let record = stream.record().await?.context("the stream ended early")?;
        ensure!(record == upstream::record(place).trim_end().as_bytes(), "a record has wrong bytes");
    }
    ensure!(stream.record().await?.is_none(), "the stream has too many records");
    Ok(())
}

async fn metrics(addr: SocketAddr) -> Result<()> {
    let answer = get(addr, "/metrics").await?;
    ensure!(wave::status(&answer) == Some(200), "no metrics");
    Ok(())
}

/// Reads the whole response.
async fn get(addr: SocketAddr, target: &str) -> Result<Vec<u8>> {
    let mut connection = TcpStream::connect(addr).await.context("not connected")?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    // A refused client cannot write everything.
    let _ = connection.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    Ok(answer)
}
