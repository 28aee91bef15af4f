//! Parses `OLLAMA_HOST`, the address of an Ollama, in every notation that Ollama accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use super::{entry, mistake::Problem};

/// The environment variable in which Ollama's server and clients find the address.
pub(super) const VARIABLE: &str = "OLLAMA_HOST";

/// Ollama's port if the value has none.
const DEFAULT_PORT: u16 = 11434;

/// Parses the value as Ollama's own clients do (`envconfig.Host`). Quotes and spaces around it are ignored. The
/// scheme, the host and the port may be missing. A port that is not a number is replaced by the default. An address
/// that means every interface (`0.0.0.0`, `::`) means loopback to a client.
///
/// `None`: the variable is empty, which counts as unset.
///
/// # Errors
/// The value cannot be the address of an upstream: it has a path or a user name, or it is not a URL.
pub(super) fn parse(value: &str) -> Option<Result<Url, Problem>> {
    let value = value.trim().trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then(|| {
        let (scheme, rest, default_port) = match value.split_once("://") {
            Some(("http", rest)) => ("http", rest, 80),
            Some(("https", rest)) => ("https", rest, 443),
            Some((scheme, rest)) => (scheme, rest, DEFAULT_PORT),
            None if value == "ollama.com" => ("https", value, 443),
            None => ("http", value, DEFAULT_PORT),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (host, port) = split_port(authority);
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(default_port);
        let url = if authority.contains('@') {
            // Ollama would take the user name for the host.
            entry::parse_url(&format!("{scheme}://{rest}"))
        } else {
            entry::parse_url(&format!("{scheme}://{}:{port}{path}", reachable(host)))
        };
        url.map_err(|problem| Problem {
            advice: "correct it, or set the upstream with --upstream or STREAMGAUGE_UPSTREAM".to_owned(),
            ..problem
        })
    })
}

/// Splits the host from the text behind the last colon, if that is a port and not a part of an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') && host.ends_with(']') => {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// The host for a URL, at which a client can reach it.
fn reachable(host: &str) -> String {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ if host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollama_host_in_every_notation_gives_the_address_that_ollama_clients_use() {
        // Most of these cases are from the test of Ollama's `envconfig.Host`.
        for (value, url) in [
            ("1.2.3.4", "http://1.2.3.4:11434/"),
            ("1.2.3.4:5678", "http://1.2.3.4:5678/"),
            (":5678", "http://127.0.0.1:5678/"),
            ("example.com", "http://example.com:11434/"),
            ("example.com:5678", "http://example.com:5678/"),
            ("http://example.com", "http://example.com/"),
            ("https://example.com", "https://example.com/"),
            ("https://example.com:5678", "https://example.com:5678/"),
            ("example.com:", "http://example.com:11434/"),
            ("1.2.3.4:66000", "http://1.2.3.4:11434/"),
            ("1.2.3.4:none", "http://1.2.3.4:11434/"),
            ("[::1]", "http://[::1]:11434/"),
            ("::1", "http://[::1]:11434/"),
            ("[::1]:5678", "http://[::1]:5678/"),
            (" \"1.2.3.4\" ", "http://1.2.3.4:11434/"),
            ("'1.2.3.4:1'", "http://1.2.3.4:1/"),
            ("0.0.0.0", "http://127.0.0.1:11434/"),
            ("0.0.0.0:5678", "http://127.0.0.1:5678/"),
            ("http://0.0.0.0:5678/", "http://127.0.0.1:5678/"),
            ("[::]:5678", "http://[::1]:5678/"),
            ("::", "http://[::1]:11434/"),
            ("localhost", "http://localhost:11434/"),
            ("ollama.com", "https://ollama.com/"),
        ] {
            assert_eq!(parse(value).unwrap().unwrap().as_str(), url, "{value}");
        }
    }

    #[test]
    fn ollama_host_that_is_empty_counts_as_unset() {
        assert!(parse("").is_none() && parse(" \"\" ").is_none());
    }

    #[test]
    fn ollama_host_that_is_no_valid_upstream_says_where_else_to_name_it() {
        for (value, what) in [
            ("http://gpu0/ollama", "the URL has a path"),
            ("http://me:hunter2@gpu0", "the URL has a user name or password"),
            ("unix://gpu0", "the scheme of the URL is neither http nor https"),
        ] {
            let problem = parse(value).unwrap().unwrap_err();
            assert_eq!(problem.what, what, "{value}");
            assert!(problem.advice.contains("STREAMGAUGE_UPSTREAM"));
        }
    }
}
