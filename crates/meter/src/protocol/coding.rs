//! Content codings (RFC 9110 8.4.1): decodes a copy of a compressed body for reading.
//!
//! The copy is decoded piece by piece, and the coded bytes pass unchanged. The decoded size and the cost are limited.
//! A body that cannot be decoded is not read, and still passes.

#[cfg(not(feature = "coding"))]
mod absent;
#[cfg(feature = "coding")]
mod brotli;
mod decode;
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

/// The coding of a body. Without the feature `coding`, only [`Identity`](Coding::Identity) is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not coded.
    #[default]
    Identity,
    /// `gzip`.
    Gzip,
    /// `deflate`: with zlib's wrapper, as the RFC defines it, or without, as some servers send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`, with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// Another coding, or several. The body is not read.
    Unknown,
}

impl Coding {
    /// Returns the coding for a value of `Content-Encoding`.
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

/// The reason why the rest of a body is not decoded: the data is invalid, or it exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;
