//! `probe`: is a sidecar ready; for health checks.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::Url;

use super::{CommandFailure, Global, ask, output, reach::reachable, runtimes};
use crate::{admin, config, tls::Trust};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Ask a running sidecar whether it is ready: exit code 0 or 1
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// The URL or HOST:PORT to ask. Without a path it asks /readyz [default: admin.listen of the configuration]
    // Not parsed by clap, which repeats a value that is wrong, and with it a password.
    url: Option<String>,
}

impl Probe {
    pub(super) fn run(self, global: &Global) -> Result<(), CommandFailure> {
        let (url, trust) = match self.url {
            Some(_) if global.config.is_some() => {
                let what =
                    "`probe` reads no configuration if it is given a URL: leave --config or the URL out";
                return Err(CommandFailure::Usage(what.into()));
            }
            // With a URL no configuration is needed, so broken variables do no harm.
            Some(url) => by_system(parse(&url)?)?,
            None => by_configuration(&config::load(&global.flags())?.config.sidecar.admin)?,
        };
        let url =
            if url.path() == "/" { url.join("/readyz").context("a URL that takes no path")? } else { url };
        runtimes::small().context("cannot start a runtime")?.block_on(ready(url, trust.as_ref()))?;
        output::print("ready\n")
    }
}

/// Whoever answers there is verified as any server is.
pub(super) fn by_system(url: Url) -> anyhow::Result<(Url, Option<Trust>)> {
    let trust = if url.scheme() == "https" { Some(Trust::system(None)?) } else { None };
    Ok((url, trust))
}

/// The sidecar of this configuration: by TLS it has to show the certificate that is configured, whatever address that
/// is for.
pub(super) fn by_configuration(admin: &admin::Config) -> anyhow::Result<(Url, Option<Trust>)> {
    let mut url = admin_url(admin.listen)?;
    if admin.tls.is_some() {
        let _ = url.set_scheme("https");
    }
    Ok((url, admin.tls.as_ref().map(Trust::pinned)))
}

fn admin_url(listen: SocketAddr) -> anyhow::Result<Url> {
    if listen.port() == 0 {
        return Err(anyhow!("admin.listen has port 0, so where it listens is not known: give the URL"));
    }
    Ok(Url::parse(&format!("http://{}", reachable(listen)))?)
}

async fn ready(url: Url, trust: Option<&Trust>) -> anyhow::Result<()> {
    let asked = shown(&url);
    let (status, why) =
        ask::get(url, trust, TIMEOUT).await.with_context(|| format!("{asked} does not answer"))?;
    if !status.is_success() {
        let why = String::from_utf8_lossy(&why);
        let why = why.lines().next().unwrap_or_default().escape_debug();
        bail!("{asked} is not ready: {status} {why}");
    }
    Ok(())
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

pub(super) fn parse(text: &str) -> Result<Url, CommandFailure> {
    match Url::parse(&config::with_scheme(text)) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(url),
        _ => Err(CommandFailure::Usage(
            "the argument is not a URL to ask: write http://HOST:PORT, as in http://127.0.0.1:9464".into(),
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
