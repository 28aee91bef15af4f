//! `/`: a page with the most important figures, for users without Grafana.
//!
//! The page is one file without external assets. Its script asks for `/overview` every two seconds and draws the
//! plots. Plots drawn by the server as SVG would need ten times the bytes per refresh and could not follow the
//! browser's dark mode.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, header};
use sha2::{Digest, Sha256};

/// The whole page.
pub(super) const PAGE: &str = include_str!("page.html");

/// The header fields of the page. The policy allows only the page's own script and style, so that a name in the
/// data can never run as code.
pub(super) fn fields() -> [(header::HeaderName, HeaderValue); 4] {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style"),
    );
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).expect("the policy is ASCII")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ]
}

/// The hash of the text of the only element with this name.
fn hash(element: &str) -> String {
    let (_, rest) = PAGE.split_once(&format!("<{element}>")).expect("the page has this element");
    let (text, _) = rest.split_once(&format!("</{element}>")).expect("the element is closed");
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The script is most of the page. The page is not cached, so it must stay small.
    const MOST_BYTES: usize = 80 << 10;

    #[test]
    fn page_is_small_and_loads_nothing_from_elsewhere() {
        assert!(PAGE.len() <= MOST_BYTES, "{} bytes", PAGE.len());
        for outside in [" src=", "@import", "url(", "<link rel=\"stylesheet\"", "import ", "importScripts"] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        assert_eq!((PAGE.matches("<script>").count(), PAGE.matches("<style>").count()), (1, 1));
    }

    #[test]
    fn page_never_turns_a_name_into_markup() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
        ];
        for way in ways {
            assert!(!PAGE.contains(way), "{way}");
        }
        let attribute = |attribute: &str| attribute.starts_with("on") && attribute.contains("=\"");
        assert!(!PAGE.split_whitespace().any(attribute), "scripts in attributes");
    }

    #[test]
    fn page_content_security_policy_allows_only_its_own_script_and_style() {
        let [(_, policy), ..] = fields();
        let policy = policy.to_str().unwrap();
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_ne!(hash("script"), hash("style"));
    }
}
