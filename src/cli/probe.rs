//! `probe`: asks a sidecar whether it is ready, for health checks.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::{StatusCode, Url};

use super::{CommandFailure, Global, ask, output, reach::reachable, runtimes};
use crate::{admin, config, tls::Trust};

const TIMEOUT: Duration = Duration::from_secs(2);
/// The path of the admin address that says whether the sidecar is ready.
const READY: &str = "/readyz";

/// Ask a running sidecar whether it is ready: exit code 0 or 1
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// The URL or HOST:PORT to ask. Without a path it asks /readyz [default: admin.listen of the configuration]
    // Not parsed by clap, which would repeat a wrong value, and with it a password.
    url: Option<String>,
}

impl Probe {
    pub(super) fn run(self, global: &Global) -> Result<(), CommandFailure> {
        let (url, trust) = match self.url {
            Some(_) if global.config.is_some() => {
                let what = "`probe` reads no configuration if a URL is given: remove --config or the URL";
                return Err(CommandFailure::Usage(what.into()));
            }
            // With a URL the configuration is not needed, so that mistakes in the environment do no harm.
            Some(url) => by_system(parse(&url)?)?,
            None => {
                by_configuration(&config::load_without_further_keys(&global.flags())?.config.sidecar.admin)?
            }
        };
        let url =
            if url.path() == "/" { url.join(READY).context("the URL cannot have a path")? } else { url };
        runtimes::small().context("cannot start a runtime")?.block_on(ready(url, trust.as_ref()))?;
        output::print("ready\n")
    }
}

/// A URL given by the user: its server is verified with the system's certificate authorities.
pub(super) fn by_system(url: Url) -> anyhow::Result<(Url, Option<Trust>)> {
    let trust = if url.scheme() == "https" { Some(Trust::system(None)?) } else { None };
    Ok((url, trust))
}

/// The admin address of this configuration. With TLS, the server must present the configured certificate, whatever
/// names that has.
pub(super) fn by_configuration(admin: &admin::Config) -> anyhow::Result<(Url, Option<Trust>)> {
    let mut url = admin_url(admin.listen)?;
    if admin.tls.is_some() {
        let _ = url.set_scheme("https");
    }
    Ok((url, admin.tls.as_ref().map(Trust::pinned)))
}

fn admin_url(listen: SocketAddr) -> anyhow::Result<Url> {
    if listen.port() == 0 {
        return Err(anyhow!("admin.listen has port 0, so the real port is not known: give the URL"));
    }
    Ok(Url::parse(&format!("http://{}", reachable(listen)))?)
}

async fn ready(url: Url, trust: Option<&Trust>) -> anyhow::Result<()> {
    let asked = shown(&url);
    let url_is_default = url.path() == READY;
    let (status, why) =
        ask::get(url, trust, TIMEOUT).await.with_context(|| format!("{asked} did not answer"))?;
    if status == StatusCode::NOT_FOUND && url_is_default {
        bail!(
            "{asked} answered {status}: is this the address for clients? The admin address has the port 9464 by default"
        );
    }
    if !status.is_success() {
        let why = String::from_utf8_lossy(&why);
        let why = why.lines().next().unwrap_or_default().escape_debug();
        bail!("{asked} is not ready: {status} {why}");
    }
    Ok(())
}

/// The URL without user name, password, query and fragment, which may be secret.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

pub(super) fn parse(text: &str) -> Result<Url, CommandFailure> {
    match Url::parse(&config::with_scheme(text)) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(url),
        _ => Err(CommandFailure::Usage(
            "the argument is not an HTTP URL: write http://HOST:PORT, as in http://127.0.0.1:9464".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_of_wildcard_address_uses_loopback() {
        let url = |listen: &str| admin_url(listen.parse().unwrap()).unwrap().to_string();
        assert_eq!(url("0.0.0.0:9464"), "http://127.0.0.1:9464/");
        assert_eq!(url("[::]:9464"), "http://[::1]:9464/");
        assert_eq!(url("10.0.0.1:9464"), "http://10.0.0.1:9464/");
        assert!(admin_url("127.0.0.1:0".parse().unwrap()).is_err());
    }

    #[test]
    fn probe_shows_address_without_secret() {
        let url = Url::parse("https://me:hunter2@gpu0:1/readyz?token=hunter2#hunter2").unwrap();
        assert_eq!(shown(&url), "https://gpu0:1/readyz");
    }
}
