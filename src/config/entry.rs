//! `[[upstream]]` and `--upstream`: one Ollama.

use std::borrow::Cow;

use url::Url;

use super::{certificate, field::Given, mistake::Problem};
use crate::upstream::{RESERVED, StreamLimit, UpstreamConfig};

/// A key of `[[upstream]]`.
#[derive(Debug)]
pub(super) struct EntryKey {
    pub(super) leaf: &'static str,
    pub(super) kind: &'static str,
    pub(super) doc: &'static str,
    /// The value as TOML; `None` if it is unset.
    pub(super) show: fn(&UpstreamConfig) -> Option<String>,
}

pub(super) static ENTRY_KEYS: &[EntryKey] = &[
    EntryKey {
        leaf: "name",
        kind: "letters, digits, `.` `_` `-`, at most 63",
        doc: "The value of the label `upstream`. `cloud` and `none` are reserved. Unset: `upstream` and the position, from 0.",
        show: |upstream| Some(format!("\"{}\"", upstream.name)),
    },
    EntryKey {
        leaf: "url",
        kind: "http://HOST:PORT, https://HOST:PORT, HOST:PORT",
        doc: "The URL of the Ollama. Required. `HOST:PORT`, as in `OLLAMA_HOST`, means http.",
        show: |upstream| Some(format!("\"{}\"", upstream.url.as_str().trim_end_matches('/'))),
    },
    EntryKey {
        leaf: "ca_file",
        kind: "path",
        doc: "A PEM file with the only certificate authorities that are trusted for an `https` upstream. Unset: the system's authorities.",
        show: |upstream| Some(certificate::path(upstream.tls.as_ref()?.authorities_file()?)),
    },
    EntryKey {
        leaf: "client_cert",
        kind: "path",
        doc: "The certificate chain, in PEM, for an `https` upstream that asks for a client certificate.",
        show: |upstream| Some(certificate::path(upstream.tls.as_ref()?.identity()?.files()?.0)),
    },
    EntryKey {
        leaf: "client_key",
        kind: "path",
        doc: "The private key of `client_cert`, in PEM.",
        show: |upstream| Some(certificate::path(upstream.tls.as_ref()?.identity()?.files()?.1)),
    },
    EntryKey {
        leaf: "max_streams",
        kind: "1 to 1000000, auto",
        doc: "The maximum number of concurrent streams. Further requests wait in the queue. `\"auto\"`: as many as the Ollama can do, found from its streams. Unset: no limit.",
        show: |upstream| {
            Some(match upstream.max_streams? {
                StreamLimit::Fixed(most) => most.to_string(),
                StreamLimit::Auto { .. } => format!("\"{AUTO}\""),
            })
        },
    },
    EntryKey {
        leaf: "min_tokens_per_second",
        kind: "1 to 1000000",
        doc: "With `max_streams = \"auto\"`: lower the limit while streams get fewer tokens per second than this. If one stream alone is slower, the limit is 1. Unset: no minimum.",
        show: |upstream| match upstream.max_streams? {
            StreamLimit::Fixed(_) => None,
            StreamLimit::Auto { min_tokens_per_second } => {
                min_tokens_per_second.map(|least| least.to_string())
            }
        },
    },
    EntryKey {
        leaf: "weight",
        kind: "1 to 1000",
        doc: "The share of requests relative to the other upstreams.",
        show: |upstream| Some(upstream.weight.to_string()),
    },
];

/// The value of `max_streams` with which the limit is found.
const AUTO: &str = "auto";

/// Reads `max_streams`.
pub(super) fn stream_limit(given: Given<'_>) -> Result<StreamLimit, Problem> {
    if given.text("auto").is_ok_and(|text| text == AUTO) {
        return Ok(StreamLimit::Auto { min_tokens_per_second: None });
    }
    let limit = given.count(&(1..=1_000_000)).map(StreamLimit::Fixed);
    limit.map_err(|problem| Problem { advice: format!("{}, or \"{AUTO}\"", problem.advice), ..problem })
}

/// The name of an upstream without a name.
pub(super) fn default_name(position: usize) -> String {
    format!("upstream{position}")
}

/// Splits `[NAME=]URL`.
pub(super) fn split_flag(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        // An equals sign after the scheme belongs to the URL.
        Some((name, url)) if !name.contains("://") => (Some(name), url),
        _ => (None, text),
    }
}

/// Checks that a name can be a label and can stand before `=` in a flag.
pub(super) fn check_name(text: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if RESERVED.contains(&text) {
        return Err(Problem::new(
            format!("{text:?} is reserved: the metrics use it in the label `upstream`"),
            "choose another name, as in \"gpu0\"",
        ));
    }
    if !text.is_empty() && text.len() <= 63 && text.chars().all(fits) {
        return Ok(());
    }
    // The text may be a mistyped URL with a password, which must not be repeated.
    let what = if text.contains(['@', ':']) { "the text".to_owned() } else { format!("{text:?}") };
    Err(Problem::new(
        format!("{what} is not a valid name of an upstream"),
        "write 1 to 63 letters, digits, dots, dashes or underscores, as in \"gpu0\"",
    ))
}

/// Adds the scheme http to `HOST:PORT`, as Ollama does. Other texts stay unchanged.
pub(super) fn with_scheme(text: &str) -> Cow<'_, str> {
    let authority = text.split('/').next().unwrap_or_default();
    let is_address = authority.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host =
            !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
        is_host && !text.contains("://") && !authority.contains('@') && port.parse::<u16>().is_ok()
    });
    if is_address { format!("http://{text}").into() } else { text.into() }
}

/// Parses the URL of an Ollama. The errors never repeat a user name or a password.
pub(super) fn parse_url(text: &str) -> Result<Url, Problem> {
    const ADVICE: &str = "write http://HOST:PORT, as in \"http://127.0.0.1:11434\"";
    let problem = |what: &str| Problem::new(what, ADVICE);
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(problem("the URL is empty or contains a space"));
    }
    let text = &*with_scheme(text);
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(match Url::parse(&format!("http://{text}")) {
            Ok(url) if url.has_host() && !text.contains(['@', '/', '?', '#']) => {
                Problem::new("the URL has no port", format!("write \"http://{text}:11434\""))
            }
            _ => problem("the URL has no scheme"),
        });
    };
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(problem("the scheme of the URL is neither http nor https"));
    }
    // Without this check, the parser would take the next part for the host.
    if rest.starts_with(['/', '\\']) {
        return Err(problem("the URL has no host"));
    }
    let url = Url::parse(text).map_err(|error| problem(&format!("the URL is invalid: {error}")))?;
    let surplus: Vec<_> = [
        (!url.username().is_empty() || url.password().is_some(), "a user name or password"),
        (url.path() != "/", "a path"),
        (url.query().is_some(), "a query"),
        (url.fragment().is_some(), "a fragment"),
        (url.port() == Some(0), "port 0"),
    ]
    .into_iter()
    .filter_map(|(present, part)| present.then_some(part))
    .collect();
    if surplus.is_empty() { Ok(url) } else { Err(problem(&format!("the URL has {}", surplus.join(" and ")))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_flag_is_split_into_name_and_url() {
        assert_eq!(split_flag("http://a:1"), (None, "http://a:1"));
        assert_eq!(split_flag("gpu0=http://a:1"), (Some("gpu0"), "http://a:1"));
        assert_eq!(split_flag("http://a:1/?x=y"), (None, "http://a:1/?x=y"));
    }

    #[test]
    fn reserved_names_of_metrics_are_refused() {
        for name in ["cloud", "none"] {
            let problem = check_name(name).unwrap_err();
            assert!(problem.what.contains("is reserved"), "{problem:?}");
        }
        assert!(check_name("cloud0").is_ok());
    }

    #[test]
    fn url_may_have_only_scheme_host_and_port() {
        for good in [
            "http://127.0.0.1:11434",
            "http://ollama:11434/",
            "http://[::1]:11434",
            "HTTP://gpu0",
            "https://a",
        ] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for (address, url) in [
            ("127.0.0.1:11434", "http://127.0.0.1:11434/"),
            ("localhost:1", "http://localhost:1/"),
            ("gpu0.lan:80", "http://gpu0.lan/"),
            ("[::1]:11434/", "http://[::1]:11434/"),
        ] {
            assert_eq!(parse_url(address).unwrap().as_str(), url);
        }
        for (bad, said) in [
            ("", "the URL is empty or contains a space"),
            ("http://a b", "the URL is empty or contains a space"),
            ("localhost", "the URL has no port"),
            ("127.0.0.1", "the URL has no port"),
            ("localhost:11434/v1", "the URL has a path"),
            ("localhost:99999", "the URL has no scheme"),
            (":11434", "the URL has no scheme"),
            ("::1:11434", "the URL has no scheme"),
            ("me@a:1", "the URL has no scheme"),
            ("a:0", "the URL has port 0"),
            ("unix://a", "the scheme of the URL is neither http nor https"),
            ("http://", "the URL is invalid: empty host"),
            ("http:///tags", "the URL has no host"),
            ("http://a:1/v1", "the URL has a path"),
            ("http://a:1?x#y", "the URL has a query and a fragment"),
            ("http://a:0", "the URL has port 0"),
        ] {
            assert_eq!(parse_url(bad).unwrap_err().what, said, "{bad}");
        }
    }

    #[test]
    fn url_without_port_error_says_what_to_write() {
        assert_eq!(parse_url("gpu0").unwrap_err().advice, "write \"http://gpu0:11434\"");
    }

    #[test]
    fn url_error_never_repeats_a_password() {
        for bad in ["http://me:hunter2@a:1", "me:hunter2@a:1", "https://me:hunter2@a:1", "http://me:hunter2@"]
        {
            let problem = parse_url(bad).unwrap_err();
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
        let (name, url) = split_flag("me:hunter=2@a:1");
        let problems = (check_name(name.unwrap()).unwrap_err(), parse_url(url).unwrap_err());
        assert!(!format!("{problems:?}").contains("hunter"), "{problems:?}");
    }
}
