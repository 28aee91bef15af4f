//! Reads the first line of a request, to check what hyper's parser omits.

use memchr::memchr;

/// Finds `#` in the target of a request line that arrives in any pieces. The type `http::Uri` drops a fragment
/// silently, and RFC 9112 3.2 allows none in a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RequestLine {
    #[default]
    Begins,
    Method,
    Target {
        fragment: bool,
    },
    /// This many bytes of `HTTP/1.` and a digit were seen.
    Version {
        fragment: bool,
        seen: usize,
    },
    /// The line has ended, or is not a request line.
    Over,
}

const VERSION: &[u8] = b"HTTP/1.";

impl RequestLine {
    /// Reads the next bytes. Returns true once, at the end of a request line whose target has a fragment.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        if *self == RequestLine::Begins
            && let Some(end) = memchr(b'\n', bytes).filter(|end| *end > 1)
            && memchr(b'#', &bytes[..end]).is_none()
        {
            *self = RequestLine::Over;
        }
        for byte in bytes {
            let fragment = self.next(*byte);
            if *self == RequestLine::Over {
                return fragment;
            }
        }
        false
    }

    fn next(&mut self, byte: u8) -> bool {
        use RequestLine::{Begins, Method, Over, Target, Version};
        *self = match (*self, byte) {
            // Empty lines before a request are skipped (RFC 9112 2.2).
            (Begins, b'\r' | b'\n') => Begins,
            (Over, _) | (Begins, b' ') | (Method | Target { .. }, b'\r' | b'\n') => Over,
            (Method, b' ') => Target { fragment: false },
            (Begins | Method, _) => Method,
            (Target { fragment }, b' ') => Version { fragment, seen: 0 },
            (Target { fragment }, byte) => Target { fragment: fragment || byte == b'#' },
            (Version { fragment, seen }, b'\n') if seen > VERSION.len() => {
                *self = Over;
                return fragment;
            }
            (Version { seen, .. }, b'\r') if seen > VERSION.len() => *self,
            (Version { fragment, seen }, byte) => {
                let is_last = seen == VERSION.len() && byte.is_ascii_digit();
                let is_next = is_last || VERSION.get(seen) == Some(&byte);
                if is_next { Version { fragment, seen: seen + 1 } } else { Over }
            }
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a fragment is found, which must be the same for one piece and for single bytes.
    fn found(head: &str) -> bool {
        let whole = RequestLine::default().read(head.as_bytes());
        let mut line = RequestLine::default();
        let pieces = head.as_bytes().chunks(1).filter(|byte| line.read(byte)).count();
        assert_eq!(usize::from(whole), pieces, "{head:?}");
        whole
    }

    #[test]
    fn fragment_is_found_only_in_the_target() {
        for head in [
            "GET /case#part HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /# HTTP/1.0\n\n",
            "\r\nGET http://h/a#b HTTP/1.1\r\n",
            "A#B /case?a#b#c HTTP/1.1\r\n",
        ] {
            assert!(found(head), "{head:?}");
        }
        for head in [
            "GET /case HTTP/1.1\r\nHost: h\r\nX: /a#b HTTP/1.1\r\n\r\n",
            "A#B /case HTTP/1.1\r\n",
            "GET /case#part\r\nHost: h\r\n\r\n",
            "GET /case#part HTTP/2.0\r\n",
            "GET /case#part HTTP/1.10\r\n",
            // The middle of a head that began earlier.
            "alue#1 of mine\r\n",
            "\r\n\r\n#",
            " /a#b HTTP/1.1\r\n",
            "",
        ] {
            assert!(!found(head), "{head:?}");
        }
    }
}
