//! Polls the sidecar every second, on a runtime apart from the panel.

use std::time::Duration;

use anyhow::Context;
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
/// The usual port of the admin address.
const ADMIN_PORT: u16 = 9464;

/// The known state of the sidecar.
#[derive(Clone, Debug, Default)]
pub(super) struct FeedState {
    /// The last response. It stays while the sidecar does not answer.
    pub(super) overview: Option<Overview>,
    /// The error of the newest request, and the time since which requests fail.
    pub(super) away: Option<(Trouble, Instant)>,
}

/// Why a request got no overview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The problem, as a sentence without its full stop.
    pub(super) what: String,
    /// The advice if the sidecar has never answered.
    pub(super) next: String,
}

impl Trouble {
    /// No response came.
    pub(super) fn silent(address: &str, why: impl std::fmt::Display) -> Trouble {
        Trouble { what: format!("{address} does not answer: {why}"), next: Trouble::start(address) }
    }

    /// Another server answered, or another listener of the sidecar.
    fn stranger(url: &Url, address: &str, sign: &str) -> Trouble {
        let port =
            if url.port() == Some(ADMIN_PORT) { String::new() } else { format!(" (try :{ADMIN_PORT})") };
        let what = format!("This is not an admin address{port}: {address} {sign}");
        Trouble { what, next: Trouble::start(address) }
    }

    /// The sidecar wants a token, or another one.
    fn token(address: &str, was_sent: bool) -> Trouble {
        let need = if was_sent { "Another token is needed" } else { "Token needed" };
        Trouble {
            what: format!("{need}: --token-file FILE. {address} answered 401"),
            next: "The sidecar requires the token in its admin.token_file. Name that file: \
                   `streamgauge top HOST:PORT --token-file FILE`."
                .to_owned(),
        }
    }

    /// The response for this status, which is not 200.
    fn status(url: &Url, address: &str, status: StatusCode, token_was_sent: bool) -> Trouble {
        match status {
            StatusCode::UNAUTHORIZED => Trouble::token(address, token_was_sent),
            StatusCode::NOT_FOUND => Trouble::stranger(url, address, "has no /overview"),
            status => Trouble {
                what: format!("{address} answered with status {status}"),
                next: Trouble::start(address),
            },
        }
    }

    fn start(address: &str) -> String {
        format!(
            "No sidecar has answered at {address}. Start one with `streamgauge serve`, or name its admin address: \
             `streamgauge top HOST:PORT`."
        )
    }
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
        runtime.spawn(follow(Source { client, url, token, address: address.clone() }, tell));
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
    address: String,
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
            Err(trouble) => {
                let since = before.away.map_or_else(Instant::now, |(_, since)| since);
                FeedState { away: Some((trouble, since)), ..before }
            }
        });
    }
}

impl Source {
    async fn ask(&self, before: Option<&Overview>) -> Result<Overview, Trouble> {
        let mut url = self.url.clone();
        url.set_query(before.and_then(Overview::query).as_deref());
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(&**token);
        }
        let silent = |error| Trouble::silent(&self.address, ask::explain(error, TIMEOUT));
        let mut response = request.send().await.map_err(silent)?;
        if response.status() != StatusCode::OK {
            let token_was_sent = self.token.is_some();
            return Err(Trouble::status(&self.url, &self.address, response.status(), token_was_sent));
        }
        let stranger = |sign| Trouble::stranger(&self.url, &self.address, sign);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            body.extend_from_slice(&chunk);
            if body.len() > LIMIT {
                return Err(stranger("sends more than 1 MiB"));
            }
        }
        serde_json::from_slice(&body).map_err(|_| stranger("sends no overview of a sidecar"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "http://127.0.0.1:36440";

    fn what(url: &str, status: u16, token_was_sent: bool) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Trouble::status(&url.parse().unwrap(), ADDRESS, status, token_was_sent).what
    }

    #[test]
    fn advice_for_a_status_comes_first_and_says_that_the_address_answered() {
        assert_eq!(
            what(ADDRESS, 404, false),
            "This is not an admin address (try :9464): http://127.0.0.1:36440 has no /overview"
        );
        assert!(what("http://gpu0:9464", 404, false).starts_with("This is not an admin address: "));
        assert!(what(ADDRESS, 401, false).starts_with("Token needed: --token-file FILE. "));
        assert!(what(ADDRESS, 401, true).starts_with("Another token is needed: --token-file FILE. "));
        for status in [401, 404, 503] {
            assert!(!what(ADDRESS, status, false).contains("does not answer"));
        }
    }
}
