//! A short HTTP request: without a proxy of the environment, without redirects, and with a limited response.

use std::{error::Error, time::Duration};

use anyhow::{anyhow, ensure};
use reqwest::{Client, StatusCode, Url, redirect};

use crate::tls::{self, Trust};

/// The longest accepted response in bytes.
const LIMIT: usize = 64 << 10;

/// Requests `url` and returns the status and the body. `trust` verifies the server if the URL is `https`. No error
/// repeats the URL, which may contain a password.
pub(super) async fn get(
    url: Url,
    trust: Option<&Trust>,
    timeout: Duration,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let explain = |error| explain(error, timeout);
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(timeout);
    let mut response =
        tls::prepare(client, trust).build().map_err(explain)?.get(url).send().await.map_err(explain)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        body.extend_from_slice(&chunk);
        ensure!(body.len() <= LIMIT, "the response is longer than 64 KiB");
    }
    Ok((response.status(), body))
}

/// Keeps only the first cause: the errors around it say only that a request was sent, and repeat the URL.
pub(super) fn explain(error: reqwest::Error, timeout: Duration) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("no response within {} s", timeout.as_secs());
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    anyhow!("{cause}")
}
