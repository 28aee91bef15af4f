//! The head of a message between two connections (RFC 9110 7.6): which fields stay, which belong to one hop, and
//! which heads are refused.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{self, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, TE, TRANSFER_ENCODING, UPGRADE},
    request,
    uri::PathAndQuery,
};

use crate::{meter::TraceParent, protocol::Coding};

/// The most header fields of a request. hyper's default is 100. hyper allocates room for this many for each head.
pub(super) const MAX_FIELDS: usize = 256;

/// The label `reason` of a head that is too large.
pub(super) const HEAD_TOO_LARGE: &str = "head_too_large";

/// Why a request is refused before it is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the method CONNECT is not supported")]
    Connect,
    #[error("the request target is neither a path, as in /api/chat, nor a URL, or it has a fragment (#)")]
    Target,
    #[error("the request must have exactly one Host field")]
    Host,
    #[error("the only supported Transfer-Encoding is chunked")]
    Coding,
    #[error("the request's body is malformed")]
    Body,
    #[error("the request head is larger than proxy.max_head allows")]
    TooLarge,
}

impl Malformed {
    pub(super) const ALL: [Malformed; 6] = [
        Malformed::Connect,
        Malformed::Target,
        Malformed::Host,
        Malformed::Coding,
        Malformed::Body,
        Malformed::TooLarge,
    ];

    /// The label `reason` of `requests_malformed_total`.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Malformed::Connect => "connect",
            Malformed::Target => "target",
            Malformed::Host => "host",
            Malformed::Coding => "coding",
            Malformed::Body => "body",
            Malformed::TooLarge => HEAD_TOO_LARGE,
        }
    }
}

/// Hop-by-hop fields, whatever `Connection` names. `Trailer` stays, since trailers are forwarded.
const OF_ONE_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Refuses a head that could be parsed in two ways, that asks for a tunnel, or that is longer than `max_head`
/// bytes. An offer to upgrade is optional (RFC 9110 7.8): `strip` removes it, and the request is served in
/// HTTP/1.1.
pub(super) fn check(head: &request::Parts, max_head: usize) -> Result<(), Malformed> {
    // hyper enforces the limit only if a head arrives in several pieces.
    if size(head) > max_head {
        return Err(Malformed::TooLarge);
    }
    if head.method == Method::CONNECT {
        return Err(Malformed::Connect);
    }
    if !has_target(head) {
        return Err(Malformed::Target);
    }
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version >= Version::HTTP_11) {
        return Err(Malformed::Host);
    }
    if head.headers.contains_key(TRANSFER_ENCODING) && !is_chunked(&head.headers) {
        return Err(Malformed::Coding);
    }
    Ok(())
}

/// Whether the message has exactly one transfer coding, which is chunked.
pub(super) fn is_chunked(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// Whether the sender closes the connection after the message.
pub(super) fn closes(fields: &HeaderMap) -> bool {
    let values = fields.get_all(CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Whether the client accepts a response without a content coding (RFC 9110 12.5.3). Only `q=0` refuses it.
pub(super) fn takes_identity(fields: &HeaderMap) -> bool {
    let accepted = fields.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = true;
    for coding in accepted.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().to_ascii_lowercase();
        let is_taken = weight.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_none_or(|q| q > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("identity") => return is_taken,
            "*" => any = is_taken,
            _ => {}
        }
    }
    any
}

/// Asks for a response without a content coding, so that its records can be read.
pub(super) fn ask_identity(fields: &mut HeaderMap) {
    fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Marks a request whose target had a fragment, which the type `Uri` drops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment;

/// Whether the target has a form of RFC 9112 3.2 that its method allows: a path, a URL, or `*` for OPTIONS. Only
/// CONNECT may have a host and a port.
fn has_target(head: &request::Parts) -> bool {
    let is_formed = match (head.uri.scheme(), head.uri.authority()) {
        (Some(_), Some(_)) => true,
        (None, None) => match head.uri.path_and_query().map(PathAndQuery::as_str) {
            Some("*") => head.method == Method::OPTIONS,
            target => target.is_some_and(|target| target.starts_with('/')),
        },
        _ => false,
    };
    is_formed && head.extensions.get::<Fragment>().is_none()
}

/// The size of a head in bytes as it came, without white space around values.
fn size(head: &request::Parts) -> usize {
    const VERSION: usize = "  HTTP/1.1\r\n\r\n".len();
    const FIELD: usize = ": \r\n".len();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len())
        + head.uri.authority().map_or(0, |authority| authority.as_str().len());
    let fields: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum();
    head.method.as_str().len() + target + VERSION + fields
}

/// Turns a client's head into that of a request to an upstream, with the upstream's `Host`.
pub(super) fn towards(head: &mut request::Parts, host: &HeaderValue) {
    strip(&mut head.headers);
    head.version = Version::HTTP_11;
    head.headers.insert(HOST, host.clone());
}

/// Removes hop-by-hop fields and the fields that `Connection` names. The order of the others does not change.
pub(super) fn strip(fields: &mut HeaderMap) {
    let is_named = |name: &HeaderName, fields: &HeaderMap| {
        names(fields, CONNECTION).any(|named| named.eq_ignore_ascii_case(name.as_str()))
    };
    let gone: Vec<HeaderName> = fields
        .keys()
        .filter(|name| OF_ONE_HOP.contains(name) || is_named(name, fields))
        // HTTP2-Settings belongs to an upgrade to h2c.
        .chain(fields.keys().filter(|name| name.as_str() == "http2-settings"))
        .cloned()
        .collect();
    if gone.is_empty() {
        return;
    }
    // Removing from a HeaderMap moves the last field into the gap, so the remaining fields are put into a new map.
    let mut kept = HeaderMap::with_capacity(fields.len());
    let mut current = None;
    for (name, value) in fields.drain() {
        // Further values of a field come without its name.
        current = name.or(current);
        let Some(name) = &current else { continue };
        if !gone.contains(name) {
            kept.append(name.clone(), value);
        }
    }
    *fields = kept;
}

/// The elements of a list field. A value that is not text is skipped.
fn names(fields: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    fields
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

/// The content coding of a message's body.
pub(super) fn coding(fields: &HeaderMap) -> Coding {
    let mut values = fields.get_all(CONTENT_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Coding::Identity,
        (Some(value), None) => value.to_str().map_or(Coding::Unknown, Coding::of),
        (Some(_), Some(_)) => Coding::Unknown,
    }
}

/// The response's `Content-Type`.
pub(super) fn content_type(fields: &HeaderMap) -> Option<&str> {
    fields.get(header::CONTENT_TYPE)?.to_str().ok()
}

/// The trace to which the request belongs. Without exactly one well-formed `traceparent`, it belongs to none.
pub(super) fn trace_parent(fields: &HeaderMap) -> Option<TraceParent> {
    let mut values = fields.get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceParent::parse(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn head(method: &str, fields: &[(&'static str, &'static str)]) -> request::Parts {
        let mut head = Request::builder().method(method).uri("/").body(()).unwrap().into_parts().0;
        head.headers = map(fields);
        head
    }

    #[test]
    fn hop_by_hop_fields_are_removed_and_the_rest_keeps_its_order() {
        let mut fields = map(&[
            ("accept", "a"),
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("accept", "b"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("user-agent", "u"),
            ("x-last", "l"),
        ]);
        strip(&mut fields);
        let left: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            left,
            [("accept", "a"), ("accept", "b"), ("trailer", "x-sum"), ("user-agent", "u"), ("x-last", "l")]
        );
    }

    #[test]
    fn trace_is_that_of_single_well_formed_field() {
        const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (fields, is_read) in [
            (&[("traceparent", ONE)][..], true),
            (&[], false),
            (&[("traceparent", ONE), ("traceparent", ONE)], false),
            (&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736")], false),
        ] {
            assert_eq!(trace_parent(&map(fields)).is_some(), is_read, "{fields:?}");
        }
    }

    #[test]
    fn unsupported_request_is_refused_with_reason() {
        let host = ("host", "h");
        for (method, fields, verdict) in [
            ("GET", &[host][..], Ok(())),
            ("CONNECT", &[host], Err(Malformed::Connect)),
            ("GET", &[], Err(Malformed::Host)),
            ("GET", &[host, host], Err(Malformed::Host)),
            ("POST", &[host, ("transfer-encoding", "Chunked")], Ok(())),
            ("POST", &[host, ("transfer-encoding", "gzip, chunked")], Err(Malformed::Coding)),
            (
                "POST",
                &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                Err(Malformed::Coding),
            ),
            ("POST", &[host, ("transfer-encoding", "identity")], Err(Malformed::Coding)),
            ("GET", &[host, ("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")], Ok(())),
            ("GET", &[host, ("connection", "upgrade"), ("upgrade", "websocket")], Ok(())),
            ("GET", &[host, ("upgrade", "websocket")], Ok(())),
        ] {
            assert_eq!(check(&head(method, fields), 1000), verdict, "{method} {fields:?}");
        }
    }

    #[test]
    fn invalid_target_or_one_with_a_fragment_is_refused() {
        for (method, target, verdict) in [
            ("GET", "/", Ok(())),
            ("GET", "/case?a=b", Ok(())),
            ("GET", "//case", Ok(())),
            ("GET", "http://h", Ok(())),
            ("GET", "http://h/case", Ok(())),
            ("OPTIONS", "*", Ok(())),
            ("GET", "*", Err(Malformed::Target)),
            ("GET", "case", Err(Malformed::Target)),
            ("GET", "h:80", Err(Malformed::Target)),
            ("CONNECT", "h:80", Err(Malformed::Connect)),
        ] {
            let mut head = head(method, &[("host", "h")]);
            head.uri = target.parse().unwrap();
            assert_eq!(check(&head, 1000), verdict, "{method} {target}");
        }
        let mut head = head("GET", &[("host", "h")]);
        head.extensions.insert(Fragment);
        assert_eq!(check(&head, 1000), Err(Malformed::Target));
    }

    #[test]
    fn identity_coding_is_acceptable_unless_refused_by_client() {
        for (accepted, takes) in [
            (&[][..], true),
            (&["gzip, br"], true),
            (&["gzip;q=1.0, *;q=0.5"], true),
            (&["identity"], true),
            (&["gzip, identity;q=0.1, *;q=0"], true),
            (&["gzip", "Identity; q=0"], false),
            (&["gzip, *;Q=0"], false),
            (&["gzip, *;q=0.000"], false),
        ] {
            let fields: Vec<_> = accepted.iter().map(|value| ("accept-encoding", *value)).collect();
            assert_eq!(takes_identity(&map(&fields)), takes, "{accepted:?}");
        }
    }

    #[test]
    fn head_size_is_its_written_size() {
        let mut head = head("POST", &[("host", "h"), ("x-a", "1"), ("x-a", "22")]);
        head.uri = "/api/chat?x=y".parse().unwrap();
        let written = "POST /api/chat?x=y HTTP/1.1\r\nhost: h\r\nx-a: 1\r\nx-a: 22\r\n\r\n";
        assert_eq!(size(&head), written.len());
        assert_eq!(check(&head, written.len()), Ok(()));
        assert_eq!(check(&head, written.len() - 1), Err(Malformed::TooLarge));
    }
}
