//! Origins of web pages that may read the sidecar's own responses (CORS).

use http::HeaderValue;

/// Origins that Ollama accepts by default, in addition to `OLLAMA_ORIGINS` (`envconfig.AllowedOrigins`, 0.12 to
/// 0.34).
const OF_OLLAMA: [&str; 17] = [
    "http://localhost",
    "https://localhost",
    "http://localhost:*",
    "https://localhost:*",
    "http://127.0.0.1",
    "https://127.0.0.1",
    "http://127.0.0.1:*",
    "https://127.0.0.1:*",
    "http://0.0.0.0",
    "https://0.0.0.0",
    "http://0.0.0.0:*",
    "https://0.0.0.0:*",
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
];
/// Ollama does not start if an origin without `*` begins with none of these.
const SCHEMES: [&str; 6] = [
    "http://",
    "https://",
    "chrome-extension://",
    "safari-extension://",
    "moz-extension://",
    "ms-browser-extension://",
];

/// Origins of web pages in addition to Ollama's default ones, written as in `OLLAMA_ORIGINS`: `*`, or an origin
/// with at most one `*` in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<String>,
}

/// A text that is not a valid origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOrigin {
    /// The text has more than one `*`, which Ollama does not accept.
    #[error("{0:?} has more than one `*`")]
    Stars(String),
    /// The text cannot equal any origin that a browser sends.
    #[error("{0:?} is not an origin")]
    Scheme(String),
}

impl Origins {
    /// These origins and Ollama's default ones.
    ///
    /// # Errors
    /// The first text that Ollama would not accept.
    ///
    /// ```
    /// use streamgauge::admission::Origins;
    ///
    /// let origins = Origins::of(["https://*.example"])?;
    /// let may = |origin: &'static str| origins.answer(&origin.parse().unwrap()).is_some();
    /// assert!(may("https://chat.example") && may("http://localhost:3000") && !may("https://example.org"));
    /// # Ok::<(), streamgauge::admission::NoOrigin>(())
    /// ```
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Origins, NoOrigin> {
        let listed = texts.into_iter().map(|text| {
            // A browser sends scheme and host in lower case, without a final slash.
            let origin = text.trim().to_ascii_lowercase();
            match origin.matches('*').count() {
                0 if !SCHEMES
                    .iter()
                    .any(|scheme| origin.starts_with(scheme) && origin.len() > scheme.len()) =>
                {
                    Err(NoOrigin::Scheme(text.to_owned()))
                }
                0 | 1 => Ok(origin),
                _ => Err(NoOrigin::Stars(text.to_owned())),
            }
        });
        Ok(Origins { listed: listed.collect::<Result<_, _>>()? })
    }

    /// The given origins, without Ollama's default ones.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        &self.listed
    }

    /// The value of `Access-Control-Allow-Origin` for a request from this origin; `None`: its pages may not read
    /// the response.
    #[must_use]
    pub fn answer(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.listed.iter().any(|listed| listed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let mut accepted = OF_OLLAMA.into_iter().chain(self.listed.iter().map(String::as_str));
        accepted.any(|accepted| is_of(text, accepted)).then(|| origin.clone())
    }
}

fn is_of(origin: &str, accepted: &str) -> bool {
    match accepted.split_once('*') {
        None => origin == accepted,
        Some((start, end)) => {
            origin.len() >= start.len() + end.len() && origin.starts_with(start) && origin.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(origins: &Origins, origin: &'static str) -> bool {
        origins.answer(&HeaderValue::from_static(origin)).is_some()
    }

    #[test]
    fn origins_default_to_those_of_ollama() {
        let origins = Origins::default();
        for accepted in [
            "http://localhost",
            "https://localhost:8443",
            "http://127.0.0.1:3000",
            "http://0.0.0.0:1",
            "app://obsidian.md",
            "file://",
            "tauri://localhost",
            "vscode-webview://1a2b",
            "vscode-file://vscode-app",
        ] {
            assert!(accepts(&origins, accepted), "{accepted}");
        }
        for refused in [
            "null",
            "https://example.org",
            "http://localhost.example.org",
            "http://localhost@example.org",
            "http://127.0.0.10",
            "ftp://localhost",
            "chrome-extension://abc",
            "",
        ] {
            assert!(!accepts(&origins, refused), "{refused}");
        }
    }

    #[test]
    fn origins_listed_are_accepted_beside_defaults() {
        let origins =
            Origins::of(["https://Chat.example", " https://*.example.org", "moz-extension://*"]).unwrap();
        for accepted in
            ["https://chat.example", "https://a.example.org", "moz-extension://1", "http://localhost:1"]
        {
            assert!(accepts(&origins, accepted), "{accepted}");
        }
        for refused in
            ["https://chat.example:1", "http://chat.example", "https://example.org", "https://.example"]
        {
            assert!(!accepts(&origins, refused), "{refused}");
        }
        let all = Origins::of(["*"]).unwrap();
        assert_eq!(all.answer(&HeaderValue::from_static("null")), Some(HeaderValue::from_static("*")));
    }

    #[test]
    fn origins_that_ollama_refuses_are_errors() {
        assert_eq!(Origins::of(["https://*.*"]), Err(NoOrigin::Stars("https://*.*".to_owned())));
        for text in ["example.org", "https://", "", "tauri://localhost"] {
            assert_eq!(Origins::of([text]), Err(NoOrigin::Scheme(text.to_owned())), "{text}");
        }
    }
}
