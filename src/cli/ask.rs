//! A short question over HTTP: no proxy of the environment, no redirect, no answer that never ends.

use std::{error::Error, time::Duration};

use anyhow::{anyhow, ensure};
use reqwest::{Client, StatusCode, Url, redirect};

use crate::tls::{self, Trust};

/// No honest answer is longer, bytes.
const LIMIT: usize = 64 << 10;

/// The status and the body. `trust` is how whoever answers is verified, if the URL is `https`. No error repeats the URL, which may hold a password.
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
        ensure!(body.len() <= LIMIT, "the answer is longer than 64 KiB");
    }
    Ok((response.status(), body))
}

/// The first cause alone: the errors around it say only that a request was sent, and repeat the URL.
pub(super) fn explain(error: reqwest::Error, timeout: Duration) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("no answer within {} s", timeout.as_secs());
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    anyhow!("{cause}")
}
