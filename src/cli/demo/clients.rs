//! The clients: each sends a request, reads the response, pauses, and repeats.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::kind::{ClientKind, Question};
use crate::tls;

/// The models that the clients request. The simulated Ollama has both.
pub(super) const MODELS: [&str; 2] = ["sim:small", "sim:large"];

/// The running clients. Dropping it stops them at once.
#[derive(Debug)]
pub(super) struct Clients(JoinSet<()>);

impl Clients {
    /// Starts `number` clients, with each kind in turn. They start no new request once `ending` is cancelled.
    pub(super) fn start(
        number: u16,
        sidecar: SocketAddr,
        ending: &CancellationToken,
    ) -> anyhow::Result<Clients> {
        let client = tls::prepare(reqwest::Client::builder().no_proxy(), None);
        let client = client.build().context("cannot create an HTTP client")?;
        let mut clients = JoinSet::new();
        for (number, kind) in (0..number).zip(ClientKind::ALL.into_iter().cycle()) {
            let one = DemoClient {
                kind,
                model: MODELS[usize::from(number) % MODELS.len()],
                http: client.clone(),
                base: format!("http://{sidecar}"),
                chance: StdRng::seed_from_u64(number.into()),
            };
            clients.spawn(one.work(ending.clone()));
        }
        Ok(Clients(clients))
    }

    /// Waits for the request that each client is in.
    pub(super) async fn end(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

struct DemoClient {
    kind: ClientKind,
    model: &'static str,
    http: reqwest::Client,
    base: String,
    chance: StdRng,
}

impl DemoClient {
    async fn work(mut self, ending: CancellationToken) {
        for turn in 0.. {
            let pause = Duration::from_millis(self.pause(turn));
            tokio::select! { biased; () = ending.cancelled() => return, () = sleep(pause) => {} }
            let question = self.question(turn);
            if let Err(error) = self.kind.ask(&self.http, &self.base, question).await {
                tracing::debug!(kind = ?self.kind, %error, "a client's response ended early");
            }
        }
    }

    /// A random pause in milliseconds, so that the number of concurrent streams varies.
    fn pause(&mut self, turn: usize) -> u64 {
        match (turn, self.kind) {
            (0, _) => self.chance.random_range(0..200),
            // A request that fails on purpose ends soon.
            (_, ClientKind::Unlucky) => self.chance.random_range(100..300),
            _ => self.chance.random_range(100..1500),
        }
    }

    fn question(&mut self, turn: usize) -> Question {
        let tokens = match self.kind {
            ClientKind::Unlucky => 8,
            // Enough tokens that the client disconnects before the stream ends.
            _ => self.chance.random_range(24..=64),
        };
        let words = self.chance.random_range(10..200);
        Question { model: self.model, prompt: "why ".repeat(words), tokens, turn }
    }
}
