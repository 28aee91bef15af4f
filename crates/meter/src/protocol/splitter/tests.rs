//! Splits records of any framing at any byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::Kind;

/// Returns the runs of a body in these chunks, each with its text and its end, and the end of the body.
fn runs(framing: Framing, dialect: Dialect, chunks: &[&[u8]]) -> (Vec<(Vec<u8>, Piece)>, Piece) {
    let mut splitter = Splitter::new(framing, dialect);
    let mut runs = Vec::new();
    for chunk in chunks {
        splitter.split(chunk, |range, piece| runs.push((chunk[range].to_vec(), piece)));
    }
    let end = splitter.finish();
    (runs, end)
}

fn kinds(runs: &[(Vec<u8>, Piece)]) -> Vec<(&[u8], Option<Kind>)> {
    let kind = |piece: &Piece| match piece {
        Piece::Record(record) => Some(record.kind),
        Piece::Open | Piece::Other => None,
    };
    runs.iter().map(|(text, piece)| (text.as_slice(), kind(piece))).collect()
}

#[test]
fn splitter_cuts_lines_after_their_newline() {
    let body = b"{\"response\":\"a\"}\n\n{\"response\":\"b\"}\r\n{\"done\":true}";
    let (runs, end) = runs(Framing::Ndjson, Dialect::Ollama, &[body]);
    let expected: [(&[u8], _); 4] = [
        (b"{\"response\":\"a\"}\n", Some(Kind::Content)),
        (b"\n", None),
        (b"{\"response\":\"b\"}\r\n", Some(Kind::Content)),
        (b"{\"done\":true}", None),
    ];
    assert_eq!(kinds(&runs), expected);
    assert_eq!(runs[3].1, Piece::Open);
    assert!(matches!(end, Piece::Record(Record { kind: Kind::Terminal, .. })));
}

#[test]
fn splitter_cuts_events_after_any_kind_of_blank_line() {
    for newline in ["\n", "\r", "\r\n"] {
        let event = format!("data: {{\"choices\":[{{\"text\":\"a\"}}]}}{newline}{newline}");
        let body = format!("{event}: ping{newline}{newline}data: [DONE]{newline}{newline}");
        let (runs, _) = runs(Framing::Sse, Dialect::OpenAi, &[body.as_bytes()]);
        let seen: Vec<_> = kinds(&runs).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(seen, [Some(Kind::Content), None, Some(Kind::Terminal)], "{newline:?}");
        assert_eq!(runs[0].0, event.as_bytes());
    }
}

#[test]
fn splitter_does_not_wait_for_newline_after_carriage_return() {
    let chunks: [&[u8]; 3] = [b"data: [DONE]\r", b"\n\r", b"\n"];
    let (runs, _) = runs(Framing::Sse, Dialect::OpenAi, &chunks);
    let expected: [(&[u8], _); 3] =
        [(b"data: [DONE]\r", None), (b"\n\r", Some(Kind::Terminal)), (b"\n", None)];
    assert_eq!(kinds(&runs), expected);
    assert_eq!(runs[2].1, Piece::Other);
}

#[test]
fn splitter_ends_too_long_record_where_it_ends() {
    let mut long = vec![b'x'; crate::protocol::gather::MAX_RECORD + 1];
    let (open, _) = runs(Framing::Ndjson, Dialect::Ollama, &[&long]);
    assert_eq!(open[0].1, Piece::Open);
    long.push(b'\n');
    let (ended, _) = runs(Framing::Ndjson, Dialect::Ollama, &[&long, b"{\"done\":true}\n"]);
    assert_eq!(ended[0].1, Piece::Other);
    assert!(matches!(ended[1].1, Piece::Record(_)));
}

proptest! {
    /// Any bytes, split anywhere: no byte is lost, and the same records end at the same bytes.
    #[test]
    fn splitter_gives_the_same_for_any_split(
        body in "(data: |event: x|\r|\n|\r\n|\\{\"response\":\"a\"\\}|\\{\"choices\":\\[\\{\"text\":\"b\"\\}\\]\\}|:|\\[DONE\\]|q){0,24}",
        cuts in prop::collection::vec(0_usize..200, 0..12),
        sse in any::<bool>(),
    ) {
        let (framing, dialect) =
            if sse { (Framing::Sse, Dialect::OpenAi) } else { (Framing::Ndjson, Dialect::Ollama) };
        let body = body.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < body.len()).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut start = 0;
        for cut in cuts {
            chunks.push(&body[start..cut]);
            start = cut;
        }
        chunks.push(&body[start..]);
        let records = |(runs, end): (Vec<(Vec<u8>, Piece)>, Piece)| {
            let mut at = 0;
            let mut ends = Vec::new();
            for (text, piece) in &runs {
                at += text.len();
                if matches!(piece, Piece::Record(_)) {
                    ends.push((body[..at].trim_ascii_end().len(), *piece));
                }
            }
            let joined: Vec<u8> = runs.into_iter().flat_map(|(text, _)| text).collect();
            (joined, ends, end)
        };
        let whole = records(runs(framing, dialect, &[body]));
        prop_assert_eq!(&whole.0, body);
        prop_assert_eq!(records(runs(framing, dialect, &chunks)), whole);
    }
}
