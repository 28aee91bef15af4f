//! Polls the sidecar every second, on a runtime apart from the panel.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use zeroize::Zeroizing;

use super::overview::Overview;
use crate::{
    cli::ask,
    tls::{self, Trust},
};

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest accepted response in bytes.
const LIMIT: usize = 1 << 20;

/// The known state of the sidecar.
#[derive(Clone, Debug, Default)]
pub(super) struct FeedState {
    /// The last response. It stays while the sidecar does not answer.
    pub(super) overview: Option<Overview>,
    /// The error of the newest request, and the time since which requests fail.
    pub(super) away: Option<(String, Instant)>,
}

/// The newest state. Dropping it stops the requests.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) state: watch::Receiver<FeedState>,
    /// The address without what may be secret.
    pub(super) address: String,
}

impl Feed {
    /// Starts to poll.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub(crate) fn start(
        runtime: &Handle,
        url: Url,
        trust: Option<&Trust>,
        token: Option<Zeroizing<String>>,
    ) -> anyhow::Result<Feed> {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(TIMEOUT);
        let client = tls::prepare(client, trust).build().context("cannot create an HTTP client")?;
        let (tell, state) = watch::channel(FeedState::default());
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let address = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
        runtime.spawn(follow(Source { client, url, token }, tell));
        Ok(Feed { state, address })
    }

    /// A feed of a state that does not change.
    #[cfg(test)]
    pub(super) fn fixed(state: FeedState) -> Feed {
        Feed { state: watch::channel(state).1, address: "http://127.0.0.1:9464".to_owned() }
    }
}

struct Source {
    client: Client,
    url: Url,
    token: Option<Zeroizing<String>>,
}

/// Polls until the receiver is dropped.
async fn follow(source: Source, tell: watch::Sender<FeedState>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !tell.is_closed() {
        ticks.tick().await;
        let before = tell.borrow().clone();
        let answer = source.ask(before.overview.as_ref()).await;
        tell.send_replace(match answer {
            Ok(overview) => FeedState { overview: Some(overview.follow(before.overview)), away: None },
            Err(error) => {
                let since = before.away.map_or_else(Instant::now, |(_, since)| since);
                FeedState { away: Some((format!("{error:#}"), since)), ..before }
            }
        });
    }
}

impl Source {
    async fn ask(&self, before: Option<&Overview>) -> anyhow::Result<Overview> {
        let mut url = self.url.clone();
        url.set_query(before.and_then(Overview::query).as_deref());
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(&**token);
        }
        let explain = |error| ask::explain(error, TIMEOUT);
        let mut response = request.send().await.map_err(explain)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                bail!("the token is missing or wrong: name its file with --token-file")
            }
            StatusCode::NOT_FOUND => {
                bail!("there is no /overview: give the admin address of a sidecar")
            }
            status => bail!("the response has status {status}"),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            body.extend_from_slice(&chunk);
            if body.len() > LIMIT {
                bail!("the response is longer than 1 MiB");
            }
        }
        serde_json::from_slice(&body)
            .context("the response is not that of a sidecar: give the admin address of a sidecar")
    }
}
