//! Decodes each coding in pieces of any length, and tests the limits.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;

use super::{Coding, Decoder, Insertion, Undecodable};

const TEXT: &[u8] = b"{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n";
/// TEXT three times, flushed each time, and an end, encoded by Google's encoder.
const BROTLI: &[u8] = b"\x83\x14\x00\x00\x04\xea\x64\x5d\x89\x97\x85\xa4\x35\x1b\xcd\xcf\xba\x81\x0d\x38\x0e\x14\xdb\x97\x81\
    \xe1\x16\xb2\x2d\x75\x0e\x6d\xf5\x10\x08\xc7\x23\x64\x32\xca\xd3\x61\x6f\x48\x01\x00\x40\x02\x20\x8c\x09\x8b\xda\x00\x48\
    \x01\x00\x40\x02\x20\x8c\x08\x80\x0c\xc1\x04\x00\x40\x74\x72\x9e\xe0\xf9\xd6\x92\x4c\x02\x6a\x7d\x2d\x0d\x1c\x72\x2e\x67\
    \xab\x2d\xf0\x08\x43\xab\x05\xc2\x3b\xb1\xa8\xf9\x63\x09\xed\xb4\xae\xe2\x76\xa3\x87\x0c\x82\xfa\x1b";
const BROTLI_END: &[u8] =
    b"{\"model\":\"m\",\"response\":\"\",\"done\":true,\"prompt_eval_count\":5,\"eval_count\":3}\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn raw(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

/// Returns the decoded body, given in pieces of one length.
fn decoded(coding: Coding, body: &[u8], piece: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoder = Decoder::new(coding, u64::MAX).unwrap();
    let mut text = Vec::new();
    for piece in body.chunks(piece) {
        decoder.decode(piece, &mut |piece| text.extend_from_slice(piece))?;
    }
    Ok(text)
}

#[test]
fn coding_is_decoded_from_any_pieces() {
    let long: Vec<u8> =
        (0..200_000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    for text in [&b""[..], TEXT, &TEXT.repeat(5_000), &long] {
        let twice = [gzip(text), gzip(text)].concat();
        for (coding, body) in [
            (Coding::Gzip, gzip(text)),
            (Coding::Deflate, zlib(text)),
            (Coding::Deflate, raw(text)),
            (Coding::Zstd, zstd(text)),
        ] {
            for piece in [1, 7, 4096, usize::MAX] {
                assert!(decoded(coding, &body, piece).unwrap() == text, "{coding:?} in {piece}");
            }
        }
        assert!(decoded(Coding::Gzip, &twice, 100).unwrap() == text.repeat(2), "members one after the other");
    }
    for piece in [1, 7, usize::MAX] {
        let expected = [TEXT, TEXT, TEXT, BROTLI_END].concat();
        assert_eq!(decoded(Coding::Brotli, BROTLI, piece).unwrap(), expected);
    }
}

#[test]
fn flushed_text_is_decoded_at_once() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    let mut decoders = [Coding::Gzip, Coding::Zstd].map(|coding| Decoder::new(coding, u64::MAX).unwrap());
    for _ in 0..3 {
        gzip.write_all(TEXT).unwrap();
        gzip.flush().unwrap();
        zstd.write_all(TEXT).unwrap();
        zstd.flush().unwrap();
        for (decoder, body) in decoders.iter_mut().zip([gzip.get_mut(), zstd.get_mut()]) {
            let mut text = Vec::new();
            decoder.decode(body, &mut |piece| text.extend_from_slice(piece)).unwrap();
            assert_eq!(text, TEXT);
            body.clear();
        }
    }
    let mut decoder = Decoder::new(Coding::Brotli, u64::MAX).unwrap();
    let mut text = Vec::new();
    decoder.decode(&BROTLI[..43], &mut |piece| text.extend_from_slice(piece)).unwrap();
    assert_eq!(text, TEXT);
}

#[test]
fn decompression_bomb_is_given_up_within_limits() {
    let zeros = vec![0; 64 << 20];
    for (coding, bomb) in
        [(Coding::Gzip, gzip(&zeros)), (Coding::Deflate, zlib(&zeros)), (Coding::Zstd, zstd(&zeros))]
    {
        let mut decoder = Decoder::new(coding, u64::MAX).unwrap();
        let mut length = 0;
        assert_eq!(decoder.decode(&bomb, &mut |piece| length += piece.len()), Err(Undecodable), "{coding:?}");
        assert!(length <= 16 << 20, "{coding:?}: {length}");
        assert_eq!(decoder.decode(&bomb, &mut |_| panic!("it was given up")), Err(Undecodable));
    }
    // Each piece alone is harmless.
    let bomb = zstd(&vec![0; 256 << 20]);
    assert!(bomb.len() < 16 << 10, "{}", bomb.len());
    assert_eq!(decoded(Coding::Zstd, &bomb, 64), Err(Undecodable));
    let mut decoder = Decoder::new(Coding::Gzip, 1000).unwrap();
    assert_eq!(decoder.decode(&gzip(&[b'a'; 1001]), &mut |_| {}), Err(Undecodable));
}

#[test]
fn coding_with_window_above_8_mib_is_not_decoded() {
    let mut encoder = zstd::stream::raw::Encoder::new(3).unwrap();
    encoder.set_parameter(zstd::stream::raw::CParameter::WindowLog(24)).unwrap();
    let mut encoder = zstd::stream::write::Encoder::with_encoder(Vec::new(), encoder);
    for _ in 0..3 {
        encoder.write_all(&vec![b'a'; 8 << 20]).unwrap();
        encoder.flush().unwrap();
    }
    assert_eq!(decoded(Coding::Zstd, &encoder.finish().unwrap(), 4096), Err(Undecodable));
}

#[test]
fn unknown_coding_is_not_decoded_and_identity_needs_no_decoder() {
    assert_eq!(decoded(Coding::Unknown, b"a", 1), Err(Undecodable));
    assert!(Decoder::new(Coding::Identity, u64::MAX).is_none());
    for (value, coding) in [
        ("gzip", Coding::Gzip),
        (" X-GZIP ", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
        ("", Coding::Identity),
        ("identity, gzip", Coding::Gzip),
        ("gzip, gzip", Coding::Unknown),
        ("dcb", Coding::Unknown),
    ] {
        assert_eq!(Coding::of(value), coding, "{value}");
    }
}

#[test]
fn insertion_at_any_offset_keeps_coding_and_every_byte() {
    let text = TEXT.repeat(40);
    let bodies = [
        (Coding::Gzip, gzip(&text)),
        (Coding::Deflate, zlib(&text)),
        (Coding::Deflate, raw(&text)),
        (Coding::Zstd, zstd(&text)),
    ];
    let brotli = [TEXT, TEXT, TEXT, BROTLI_END].concat();
    let cases = bodies.iter().map(|(coding, body)| (*coding, &body[..], &text[..]));
    for (coding, body, text) in cases.chain([(Coding::Brotli, BROTLI, &brotli[..])]) {
        for offset in [0, 1, 50, text.len() - 1] {
            let mut insertion = Insertion::new(coding, body[0], offset as u64, b"XY").unwrap();
            let mut edited = Vec::new();
            for piece in body.chunks(9) {
                edited.extend(insertion.push(piece).unwrap());
            }
            edited.extend(insertion.finish().unwrap());
            let mut expected = text.to_vec();
            expected.splice(offset..offset, *b"XY");
            assert!(decoded(coding, &edited, 11).unwrap() == expected, "{coding:?} at {offset}");
            assert_eq!(edited[0] & 0x0f == 8, body[0] & 0x0f == 8, "zlib's wrapper stays or stays away");
        }
        let insertion = Insertion::new(coding, body[0], text.len() as u64 + 1, b"XY").unwrap();
        assert_eq!(insertion.finish(), Err(Undecodable), "it has no place");
    }
    let long = vec![b'a'; 200_000];
    let mut insertion = Insertion::new(Coding::Brotli, BROTLI[0], 1, b"XY").unwrap();
    let mut stored = insertion.push(BROTLI).unwrap();
    stored.extend(insertion.finish().unwrap());
    assert!(decoded(Coding::Brotli, &stored, 5).is_ok());
    let mut encoder = super::encoder::Encoder::like(Coding::Brotli, 0).unwrap();
    encoder.encode(&long).unwrap();
    let mut stored = encoder.take();
    stored.extend(encoder.finish().unwrap());
    assert!(decoded(Coding::Brotli, &stored, 1000).unwrap() == long);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_or_given_up(bytes: Vec<u8>, piece in 1..64_usize) {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let _ = decoded(coding, &bytes, piece);
        }
    }
}
