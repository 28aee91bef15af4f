//! Checks `Host` and `Origin`, as an Ollama on loopback does.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Schemes of programs, whose origins are always allowed.
const PROGRAMS: [&str; 5] = ["app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"];

/// Whether the request names a host that an Ollama on loopback accepts.
pub(super) fn is_known(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    is_local(without_port(host))
}

/// Whether the request has no origin, an origin on this machine, or an origin equal to its host.
pub(super) fn is_welcome(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if PROGRAMS.iter().any(|scheme| origin.starts_with(scheme)) {
        return true;
    }
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    Some(rest) == host || matches!(without_port(rest), "localhost" | "127.0.0.1" | "0.0.0.0")
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unspecified(),
        Err(_) => {
            host.is_empty()
                || host == "localhost"
                || [".localhost", ".local", ".internal"].iter().any(|domain| host.ends_with(domain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str, origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn host_is_accepted_only_if_local() {
        for host in ["localhost:11434", "127.0.0.1", "[::1]:11434", "192.168.1.2:80", "ollama.internal", ""] {
            assert!(is_known(&headers(host, None)), "{host}");
        }
        for host in ["ollama.example.com", "8.8.8.8:80"] {
            assert!(!is_known(&headers(host, None)), "{host}");
        }
    }

    #[test]
    fn origin_of_another_page_is_refused() {
        assert!(is_welcome(&headers("a.local:1", None)));
        assert!(is_welcome(&headers("a.local:1", Some("http://a.local:1"))));
        assert!(is_welcome(&headers("a.local:1", Some("http://localhost:3000"))));
        assert!(is_welcome(&headers("a.local:1", Some("app://obsidian.md"))));
        assert!(!is_welcome(&headers("a.local:1", Some("https://evil.example"))));
    }
}
