//! Finds records in the bytes of a body, however they are split.

#[cfg(test)]
mod tests;

use super::coding::Decoder;
use super::gather::{Framed, Gather};
use super::ndjson::Lines;
use super::record::read;
use super::sse::{Events, FoundEvent};
use super::{Coding, Dialect, Kind, Record, Unscanned};

/// How the records of a body are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value per line (`application/x-ndjson`).
    Ndjson,
    /// Server-sent events (`text/event-stream`).
    Sse,
    /// The whole body is one JSON value (`application/json`).
    Json,
}

impl Framing {
    /// Returns the framing of a `Content-Type`. `None`: the body is not scanned.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Framing> {
        let essence = content_type.split(';').next()?.trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/x-ndjson") {
            Some(Framing::Ndjson)
        } else if is("text/event-stream") {
            Some(Framing::Sse)
        } else if is("application/json") {
            Some(Framing::Json)
        } else {
            None
        }
    }
}

/// The result of the scanner for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A record.
    Record(Record),
    /// A record that was not understood.
    Unscanned(Unscanned),
}

/// An incremental scanner. It takes the bytes in any split. After the beginning of a body it allocates nothing: a
/// record in one piece is read in place, and a record in several pieces is assembled in a buffer that is used again.
/// That buffer holds at most 8 MiB, and at most 64 KiB between two records. A whole JSON response is held
/// until its end.
///
/// A record that was not understood is reported once: [`Unscanned::TooLong`] as soon as its length is known,
/// [`Unscanned::Malformed`] at its end. Scanning continues at the next delimiter.
///
/// ```
/// use streamgauge_meter::protocol::{Dialect, Framing, Kind, Scan, Scanner};
///
/// let mut kinds = Vec::new();
/// let mut tell = |scan| match scan {
///     Scan::Record(record) => kinds.push(record.kind),
///     Scan::Unscanned(why) => panic!("{why:?}"),
/// };
/// let mut scanner = Scanner::new(Framing::Ndjson, Dialect::Ollama);
/// scanner.scan(b"{\"response\":\"Hel", &mut tell);
/// scanner.scan(b"lo\",\"done\":false}\n{\"done\":true}", &mut tell);
/// scanner.finish(&mut tell);
/// assert_eq!(kinds, [Kind::Content, Kind::Terminal]);
/// ```
#[derive(Debug)]
pub struct Scanner {
    framer: Framer,
    dialect: Dialect,
    decoding: Decoding,
}

#[derive(Debug)]
enum Decoding {
    /// The body is not coded.
    None,
    On(Box<Decoder>),
    /// The body cannot be decoded, and this was reported.
    GivenUp,
}

#[derive(Debug)]
enum Framer {
    Ndjson(Lines),
    Sse(Events),
    Json(Gather),
}

impl Scanner {
    /// Creates a scanner for one body.
    #[must_use]
    pub fn new(framing: Framing, dialect: Dialect) -> Scanner {
        Scanner::coded(framing, dialect, Coding::Identity)
    }

    /// Creates a scanner for one body that may be coded. A copy is decoded, with at most 16 MiB per piece, and at
    /// most 256 times the body's length plus 8 MiB in all. A body that cannot be decoded is reported as
    /// [`Unscanned::Coding`], once.
    #[must_use]
    pub fn coded(framing: Framing, dialect: Dialect, coding: Coding) -> Scanner {
        let framer = match framing {
            Framing::Ndjson => Framer::Ndjson(Lines::default()),
            Framing::Sse => Framer::Sse(Events::default()),
            Framing::Json => Framer::Json(Gather::default()),
        };
        let decoder = Decoder::new(coding, u64::MAX);
        let decoding = decoder.map_or(Decoding::None, |decoder| Decoding::On(Box::new(decoder)));
        Scanner { framer, dialect, decoding }
    }

    /// Scans the next bytes, and passes each record that they complete to `tell`, in order.
    pub fn scan(&mut self, bytes: &[u8], mut tell: impl FnMut(Scan)) {
        match self.decoding {
            Decoding::None => self.framer.scan(bytes, self.dialect, tell),
            _ => self.scan_coded(bytes, &mut tell),
        }
    }

    fn scan_coded(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Scan)) {
        let Scanner { framer, dialect, decoding } = self;
        let Decoding::On(decoder) = decoding else { return };
        let decoded = decoder.decode(bytes, &mut |text| framer.scan(text, *dialect, &mut *tell));
        if decoded.is_err() {
            *decoding = Decoding::GivenUp;
            *framer = Framer::Ndjson(Lines::default());
            tell(Scan::Unscanned(Unscanned::Coding));
        }
    }

    /// Ends the body, and reports a record that lacks its delimiter. The scanner can then scan another body.
    pub fn finish(&mut self, mut tell: impl FnMut(Scan)) {
        let dialect = self.dialect;
        match &mut self.framer {
            Framer::Ndjson(lines) => {
                lines.gather.end(b"", |text| tell_text(text, dialect, false, &mut tell));
            }
            Framer::Sse(events) => events.finish(|event| tell_event(event, dialect, &mut tell)),
            Framer::Json(gather) => gather.end(b"", |text| tell_text(text, dialect, true, &mut tell)),
        }
    }

    /// Returns the allocated bytes, without those of a decoder.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        match &self.framer {
            Framer::Ndjson(lines) => lines.gather.capacity(),
            Framer::Sse(events) => events.capacity(),
            Framer::Json(gather) => gather.capacity(),
        }
    }
}

impl Framer {
    fn scan(&mut self, bytes: &[u8], dialect: Dialect, mut tell: impl FnMut(Scan)) {
        match self {
            Framer::Ndjson(lines) => lines.scan(bytes, |text| tell_text(text, dialect, false, &mut tell)),
            Framer::Sse(events) => events.scan(bytes, |event| tell_event(event, dialect, &mut tell)),
            Framer::Json(gather) => gather.hold(bytes, |text| tell_text(text, dialect, true, &mut tell)),
        }
    }
}

#[inline]
fn tell_text(text: Framed<'_>, dialect: Dialect, whole: bool, tell: &mut impl FnMut(Scan)) {
    match text {
        Framed::Text(text) => match read(text, dialect, whole) {
            Some(Ok(record)) => tell(Scan::Record(record)),
            Some(Err(why)) => tell(Scan::Unscanned(why)),
            None => {}
        },
        Framed::TooLong => tell(Scan::Unscanned(Unscanned::TooLong)),
    }
}

fn tell_event(event: FoundEvent<'_>, dialect: Dialect, tell: &mut impl FnMut(Scan)) {
    let Ok(event) = event else { return tell(Scan::Unscanned(Unscanned::TooLong)) };
    tell_text(Framed::Text(event.data), dialect, false, &mut |scan| match scan {
        Scan::Record(record) if event.is_error => tell(Scan::Record(Record { kind: Kind::Error, ..record })),
        scan => tell(scan),
    });
}
