//! The trace to which a request belongs, as its client states it.

use std::fmt;

/// The id of a trace: 16 bytes, not all of them zero. It is written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// Creates an id. `None`: all bytes are zero, which W3C Trace Context forbids.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<TraceId> {
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// Returns its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The trace of a request, and its parent span there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The parent span, not all zero.
    pub span: [u8; 8],
    /// Whether the trace is recorded somewhere.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads the value of the field `traceparent`, version 00 or newer, by the rules of W3C Trace Context (level 1,
    /// 3.2.2). `None`: the value is malformed, and the request counts as one without the field.
    ///
    /// ```
    /// use streamgauge_meter::meter::TraceParent;
    ///
    /// let parent = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    /// assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert!(parent.is_sampled);
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Option<TraceParent> {
        let mut fields = value.split('-');
        let [version] = bytes(fields.next()?)?;
        let trace = TraceId::new(bytes(fields.next()?)?)?;
        let span = bytes(fields.next()?).filter(|span| *span != [0; 8])?;
        let [flags] = bytes(fields.next()?)?;
        // A newer version may have further fields.
        let is_whole = match version {
            0 => fields.next().is_none(),
            0xff => false,
            _ => true,
        };
        is_whole.then_some(TraceParent { trace, span, is_sampled: flags & 1 == 1 })
    }
}

/// Reads bytes that are written as two lower-case hexadecimal digits each.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn well_formed_trace_parent_is_read() {
        for (value, is_sampled) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("00-{TRACE}-00f067aa0ba902b7-00"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-02"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-ff"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later"), true),
        ] {
            let parent = TraceParent::parse(&value).unwrap();
            assert_eq!(parent.trace.to_string(), TRACE, "{value}");
            assert_eq!(parent.span, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7], "{value}");
            assert_eq!(parent.is_sampled, is_sampled, "{value}");
        }
    }

    #[test]
    fn malformed_trace_parent_is_none() {
        for value in [
            String::new(),
            "00".to_owned(),
            TRACE.to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01more"),
            format!("0-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.replace('b', "g")),
            format!("00-{}é-00f067aa0ba902b7-01", &TRACE[..30]),
            format!(" 00-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceParent::parse(&value), None, "{value}");
        }
    }
}
