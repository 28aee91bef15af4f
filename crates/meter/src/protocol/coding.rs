//! Content codings (RFC 9110 8.4.1): what is read of a body that was compressed on its way.
//!
//! A copy is decoded for reading, piece by piece; the coded bytes pass on as they are. What comes out and what it
//! costs are bounded, and a body that can't be decoded is only not read.

#[cfg(not(feature = "coding"))]
mod absent;
#[cfg(feature = "coding")]
mod brotli;
mod decoder;
#[cfg(feature = "coding")]
mod encoder;
#[cfg(feature = "coding")]
mod inflate;
#[cfg(feature = "coding")]
mod insertion;
#[cfg(test)]
#[cfg(feature = "coding")]
mod tests;
#[cfg(feature = "coding")]
mod zstd;

#[cfg(not(feature = "coding"))]
pub use absent::Insertion;
pub use decoder::Decoder;
#[cfg(feature = "coding")]
pub use insertion::Insertion;

/// How a body is coded. Without the feature `coding` none but [`Identity`](Coding::Identity) is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// `gzip`.
    Gzip,
    /// `deflate`: with the wrapper of zlib, as the RFC has it, or without, as some servers send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`, with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// Another one, or several. It is not read.
    Unknown,
}

impl Coding {
    /// Of the value of `Content-Encoding`.
    ///
    /// ```
    /// use streamgauge_meter::protocol::Coding;
    ///
    /// assert_eq!(Coding::of("GZip"), Coding::Gzip);
    /// assert_eq!(Coding::of("identity"), Coding::Identity);
    /// assert_eq!(Coding::of("gzip, br"), Coding::Unknown);
    /// ```
    #[must_use]
    pub fn of(value: &str) -> Coding {
        const CODINGS: [(&str, Coding); 5] = [
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
        ];
        let names = value.split(',').map(str::trim);
        let mut names = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let Some(name) = names.next() else { return Coding::Identity };
        let known = CODINGS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        known.filter(|_| names.next().is_none()).map_or(Coding::Unknown, |(_, coding)| *coding)
    }
}

/// Why nothing more is decoded of a body: it is not what its coding promises, or more than is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;
