//! Decides where the body of a forwarded response ends, and how the client is told (RFC 9112 6.3).

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::headers;

/// How a forwarded response tells the end of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// The response has no body. For HEAD, `Content-Length` is the length of the body that GET would get.
    NoBody(Option<u64>),
    /// `Content-Length` tells the end, unless a layer around the body changes the length.
    Told(u64),
    /// The length is not known in advance, so that the response is chunked.
    Chunked,
}

/// The response has a transfer coding other than chunked. The sidecar cannot decode it, and must not forward a
/// hop-by-hop field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownCoding;

impl BodyLength {
    /// Reads the header fields of an upstream's response. `Transfer-Encoding` overrides `Content-Length`.
    pub(super) fn of(
        asked: &Method,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<BodyLength, UnknownCoding> {
        let is_coded = fields.contains_key(TRANSFER_ENCODING);
        let length = content_length(fields).filter(|_| !is_coded);
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            Ok(BodyLength::NoBody(None))
        } else if asked == Method::HEAD {
            Ok(BodyLength::NoBody(length))
        } else if is_coded && !headers::is_chunked(fields) {
            Err(UnknownCoding)
        } else {
            // Without either field, the end of the upstream's connection ends the body.
            Ok(length.map_or(BodyLength::Chunked, BodyLength::Told))
        }
    }

    /// Sets `Content-Length` or removes it. `sent` is the length of the body as it leaves, if that is known.
    pub(super) fn write(self, fields: &mut HeaderMap, sent: Option<u64>) {
        let length = match self {
            BodyLength::NoBody(length) => length,
            BodyLength::Told(length) => sent.filter(|sent| *sent == length),
            BodyLength::Chunked => None,
        };
        match length {
            Some(length) => _ = fields.insert(CONTENT_LENGTH, HeaderValue::from(length)),
            None => _ = fields.remove(CONTENT_LENGTH),
        }
    }
}

/// The length on which all values of the field agree; `None` if there is no value or the values are invalid.
fn content_length(fields: &HeaderMap) -> Option<u64> {
    let mut lengths = fields
        .get_all(CONTENT_LENGTH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|value| digits(value.trim_ascii()));
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}

/// Parses digits only, since `str::parse` accepts a sign.
fn digits(text: &[u8]) -> Option<u64> {
    text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Method = Method::GET;
    const HEAD: Method = Method::HEAD;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn forwarded_response_has_one_framing() {
        use BodyLength::{Chunked, NoBody, Told};
        let (length, other) = (("content-length", "5"), ("content-length", "6"));
        let coding = |name| ("transfer-encoding", name);
        let chunked = coding("chunked");
        for (method, status, lines, expected) in [
            // One of the two fields, or none.
            (GET, 200, &[length][..], Ok(Told(5))),
            (GET, 200, &[chunked], Ok(Chunked)),
            (GET, 200, &[coding("CHUNKED")], Ok(Chunked)),
            (GET, 200, &[], Ok(Chunked)),
            // With both fields the coding counts, in any order.
            (GET, 200, &[length, chunked], Ok(Chunked)),
            (GET, 200, &[chunked, length], Ok(Chunked)),
            (GET, 500, &[chunked, length], Ok(Chunked)),
            // A repeated equal length is one length. hyper refuses contradictory ones.
            (GET, 200, &[length, length], Ok(Told(5))),
            (GET, 200, &[("content-length", "5, 5")], Ok(Told(5))),
            (GET, 200, &[length, other], Ok(Chunked)),
            (GET, 200, &[("content-length", "+5")], Ok(Chunked)),
            (GET, 200, &[("content-length", "")], Ok(Chunked)),
            (GET, 200, &[("content-length", "99999999999999999999")], Ok(Chunked)),
            // Codings that the sidecar does not decode.
            (GET, 200, &[coding("gzip, chunked")], Err(UnknownCoding)),
            (GET, 200, &[coding("gzip"), chunked], Err(UnknownCoding)),
            (GET, 200, &[chunked, chunked], Err(UnknownCoding)),
            (GET, 200, &[coding("identity"), length], Err(UnknownCoding)),
            (GET, 200, &[coding("chunked;q=1")], Err(UnknownCoding)),
            (GET, 200, &[coding("")], Err(UnknownCoding)),
            // Responses without a body, whatever their fields say.
            (HEAD, 200, &[length], Ok(NoBody(Some(5)))),
            (HEAD, 200, &[length, other], Ok(NoBody(None))),
            (HEAD, 200, &[length, chunked], Ok(NoBody(None))),
            (HEAD, 200, &[coding("gzip, chunked")], Ok(NoBody(None))),
            (HEAD, 404, &[], Ok(NoBody(None))),
            (GET, 204, &[length], Ok(NoBody(None))),
            (GET, 204, &[coding("gzip")], Ok(NoBody(None))),
            (GET, 304, &[length], Ok(NoBody(None))),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                BodyLength::of(&method, status, &fields(lines)),
                expected,
                "{method} {status} {lines:?}"
            );
        }
    }

    #[test]
    fn content_length_equals_sent_body_or_is_absent() {
        use BodyLength::{Chunked, NoBody, Told};
        for (length, sent, expected) in [
            (Told(5), Some(5), Some("5")),
            // A layer changes the length, or may change it.
            (Told(5), Some(4), None),
            (Told(5), None, None),
            (Chunked, None, None),
            (Chunked, Some(5), None),
            (NoBody(Some(5)), Some(0), Some("5")),
            (NoBody(None), Some(0), None),
        ] {
            for before in
                [&[][..], &[("content-length", "9")], &[("content-length", "5"), ("content-length", "5")]]
            {
                let mut fields = fields(before);
                length.write(&mut fields, sent);
                let written: Vec<_> = fields.get_all(CONTENT_LENGTH).iter().collect();
                assert_eq!(written, Vec::from_iter(expected), "{length:?} {sent:?} {before:?}");
            }
        }
    }
}
