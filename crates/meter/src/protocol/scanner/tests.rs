//! Tests framing with any bytes in any split.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::gather::MAX_RECORD;
use super::{Framing, Scan, Scanner};
use crate::protocol::{Dialect, Kind, Unscanned};

const FRAMINGS: [Framing; 3] = [Framing::Ndjson, Framing::Sse, Framing::Json];
const DIALECTS: [Dialect; 3] = [Dialect::Ollama, Dialect::OpenAi, Dialect::Anthropic];

/// Returns the results for a body that comes in these pieces.
fn told<'a>(framing: Framing, dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Scan> {
    let mut scanner = Scanner::new(framing, dialect);
    let mut scans = Vec::new();
    for piece in pieces {
        scanner.scan(piece, |scan| scans.push(scan));
    }
    scanner.finish(|scan| scans.push(scan));
    scans
}

/// Returns the kinds of a body, after checking that it gives the same in one piece and byte by byte.
fn kinds(framing: Framing, dialect: Dialect, body: &[u8]) -> Vec<Result<Kind, Unscanned>> {
    let scans = told(framing, dialect, [body]);
    assert_eq!(scans, told(framing, dialect, body.chunks(1)), "byte by byte");
    let kind = |scan| match scan {
        Scan::Record(record) => Ok(record.kind),
        Scan::Unscanned(why) => Err(why),
    };
    scans.into_iter().map(kind).collect()
}

fn lines(body: &str) -> Vec<Result<Kind, Unscanned>> {
    kinds(Framing::Ndjson, Dialect::Ollama, body.as_bytes())
}

fn events(body: &str) -> Vec<Result<Kind, Unscanned>> {
    kinds(Framing::Sse, Dialect::OpenAi, body.as_bytes())
}

const TEXT: &str = r#"{"choices":[{"text":"x"}]}"#;

#[test]
fn scanner_reads_each_line_as_record_and_skips_blank_lines() {
    assert_eq!(
        lines("{\"response\":\"a\"}\n\r\n  \n{\"response\":\"\"}\r\n{\"done\":true}\n"),
        [Ok(Kind::Content), Ok(Kind::Other), Ok(Kind::Terminal)]
    );
    assert_eq!(lines(""), []);
    assert_eq!(lines("\n\n"), []);
}

#[test]
fn scanner_continues_after_malformed_line() {
    assert_eq!(
        lines("nonsense\n{\"response\":\"a\"}\n{\"response\":\n{\"done\":true}\n"),
        [Err(Unscanned::Malformed), Ok(Kind::Content), Err(Unscanned::Malformed), Ok(Kind::Terminal)]
    );
}

#[test]
fn scanner_reads_last_line_without_newline_at_the_end() {
    assert_eq!(lines("{\"response\":\"a\"}\n{\"done\":true}"), [Ok(Kind::Content), Ok(Kind::Terminal)]);
    assert_eq!(lines("{\"response\":\"a\"}\n{\"done\":tr"), [Ok(Kind::Content), Err(Unscanned::Malformed)]);
}

#[test]
fn scanner_ends_event_at_any_kind_of_blank_line() {
    for end in ["\n", "\r\n", "\r"] {
        let body = format!(
            ": hello{end}{end}data: {TEXT}{end}{end}event: x{end}id: 1{end}data:{TEXT}{end}{end}{end}data: [DONE]{end}{end}"
        );
        assert_eq!(events(&body), [Ok(Kind::Content), Ok(Kind::Content), Ok(Kind::Terminal)], "{end:?}");
    }
    // CR followed by CR LF are two line ends, so the event has ended.
    assert_eq!(
        events(&format!("data: {TEXT}\r\r\ndata: [DONE]\r\r\n")),
        [Ok(Kind::Content), Ok(Kind::Terminal)]
    );
}

#[test]
fn scanner_joins_data_lines_of_an_event() {
    assert_eq!(
        events("data: {\"choices\":\ndata:  [{\"text\":\n: comment\ndata:\"x\"}]}\n\n"),
        [Ok(Kind::Content)]
    );
    // The lines are joined by a newline.
    assert_eq!(events("data: {\"error\":nu\ndata: ll}\n\n"), [Err(Unscanned::Malformed)]);
}

#[test]
fn scanner_ignores_event_without_data() {
    assert_eq!(events("event: ping\n\n: keep-alive\n\nid: 7\nretry: 10\n\ndata\n\ndata:\n\n"), []);
    // Names of fields must match exactly.
    assert_eq!(events(&format!("Data: {TEXT}\n\n data: {TEXT}\n\n")), []);
}

#[test]
fn scanner_accepts_byte_order_mark_only_at_the_start() {
    assert_eq!(events(&format!("\u{feff}data: {TEXT}\n\n")), [Ok(Kind::Content)]);
    assert_eq!(
        events(&format!("data: {TEXT}\n\n\u{feff}data: {TEXT}\n\ndata: [DONE]\n\n")),
        [Ok(Kind::Content), Ok(Kind::Terminal)]
    );
}

#[test]
fn scanner_reads_last_event_without_blank_line() {
    for end in ["", "\n", "\r", "\r\n"] {
        assert_eq!(
            events(&format!("data: {TEXT}\n\ndata: [DONE]{end}")),
            [Ok(Kind::Content), Ok(Kind::Terminal)]
        );
    }
    assert_eq!(events("data: {\"cho"), [Err(Unscanned::Malformed)]);
    assert_eq!(events("event: x"), []);
}

#[test]
fn scanner_reads_event_named_error_as_error() {
    assert_eq!(events("event: error\ndata: {\"message\":\"m\"}\n\n"), [Ok(Kind::Error)]);
    assert_eq!(events("event: errors\ndata: {\"message\":\"m\"}\n\n"), [Ok(Kind::Other)]);
    // The name of an event ends with the event.
    assert_eq!(events(&format!("event: error\n\ndata: {TEXT}\n\n")), [Ok(Kind::Content)]);
}

#[test]
fn scanner_reads_whole_response_at_its_end() {
    let body = b"{\n  \"response\": \"a\",\n  \"done\": true\n}\n";
    assert_eq!(kinds(Framing::Json, Dialect::Ollama, body), [Ok(Kind::Terminal)]);
    assert_eq!(kinds(Framing::Json, Dialect::Ollama, b" \n"), []);
    assert_eq!(kinds(Framing::Json, Dialect::Ollama, b"{}\n{}"), [Err(Unscanned::Malformed)]);
    let mut scanner = Scanner::new(Framing::Json, Dialect::Ollama);
    scanner.scan(body, |scan| panic!("{scan:?} too soon"));
}

/// Returns a record of this length.
fn long(length: usize) -> String {
    let (head, tail) = (r#"{"response":""#, r#""}"#);
    format!("{head}{}{tail}", "x".repeat(length - head.len() - tail.len()))
}

#[test]
fn scanner_reports_too_long_record_once_and_reads_the_next() {
    for size in [usize::MAX, 1 << 20, 65_521] {
        let told = |framing, dialect, body: &str| {
            let pieces = body.as_bytes().chunks(size.min(body.len()));
            told(framing, dialect, pieces)
                .into_iter()
                .map(|scan| match scan {
                    Scan::Record(record) => Ok(record.kind),
                    Scan::Unscanned(why) => Err(why),
                })
                .collect::<Vec<_>>()
        };
        for (length, first) in [(MAX_RECORD, Ok(Kind::Content)), (MAX_RECORD + 1, Err(Unscanned::TooLong))] {
            let body = format!("{}\n{{\"done\":true}}\n", long(length));
            assert_eq!(told(Framing::Ndjson, Dialect::Ollama, &body), [first, Ok(Kind::Terminal)]);
        }
        let over = long(3 * MAX_RECORD);
        let body = format!("data: {over}\n\ndata: [DONE]\n\n");
        let expected = [Err(Unscanned::TooLong), Ok(Kind::Terminal)];
        assert_eq!(told(Framing::Sse, Dialect::OpenAi, &body), expected);
        assert_eq!(told(Framing::Json, Dialect::Ollama, &over), [Err(Unscanned::TooLong)]);
        assert_eq!(told(Framing::Ndjson, Dialect::Ollama, &over), [Err(Unscanned::TooLong)]);
    }
}

#[test]
fn scanner_frees_memory_after_long_record() {
    // Longer than the maximum, and so long that it is held.
    for length in [10_000_000, 1_000_000] {
        let line = long(length);
        for (framing, body) in [
            (Framing::Ndjson, format!("{line}\n")),
            (Framing::Sse, format!("data: {line}\n\n")),
            (Framing::Sse, format!("data: {line}\ndata: \n\n")),
        ] {
            let mut scanner = Scanner::new(framing, Dialect::Ollama);
            let mut peak = 0;
            let mut scans = 0;
            for piece in body.as_bytes().chunks(16_384) {
                scanner.scan(piece, |_| scans += 1);
                peak = peak.max(scanner.capacity());
            }
            assert_eq!(scans, 1);
            assert!(peak > 500_000, "{peak}: it was gathered");
            assert!(peak <= MAX_RECORD, "{peak}");
            assert!(scanner.capacity() <= 64 << 10, "{}", scanner.capacity());
        }
    }
}

#[test]
fn scanner_after_finish_is_as_new() {
    for framing in FRAMINGS {
        let mut scanner = Scanner::new(framing, Dialect::OpenAi);
        let mut scans = Vec::new();
        let body = format!("\u{feff}data: {TEXT}\r");
        let body = if framing == Framing::Sse { body.as_str() } else { TEXT };
        for _ in 0..2 {
            scanner.scan(body.as_bytes(), |scan| scans.push(scan));
            scanner.finish(|scan| scans.push(scan));
        }
        assert_eq!(scans.len(), 2);
        assert!(scans.iter().all(|scan| matches!(scan, Scan::Record(_))), "{framing:?} {scans:?}");
    }
}

/// Generates a piece of a stream, similar to those that a server sends.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        r#"{"model":"m","created_at":"2025-11-24T09:15:30.1Z","response":"x","done":false}"#,
        r#"{"message":{"role":"assistant","content":"","thinking":"hm\n\"\\"},"done":false}"#,
        r#"{"done":true,"done_reason":"stop","context":[1,2],"eval_count":3,"eval_duration":4}"#,
        r#"{"error":"x"}"#,
        r#"{"status":"success"}"#,
        r#"{"choices":[{"delta":{"content":"x","tool_calls":[{}]}}],"usage":{"prompt_tokens":1}}"#,
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":1}}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"message_stop"}"#,
        "[DONE]",
        "data: ",
        "data:",
        "event: error",
        "event: x",
        ": comment",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\u{feff}",
        " ",
        "{",
        "}",
        "\"",
        "\\",
        "\0",
    ]);
    prop_oneof![8 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..8)]
}

/// Generates a stream as a server sends it, with the number of its records.
fn stream() -> impl Strategy<Value = (Framing, Vec<u8>, usize)> {
    let record = prop::sample::select(vec![
        r#"{"model":"m","response":"é\"\\","done":false}"#,
        r#"{"choices":[{"delta":{"content":"x"}}]}"#,
        r#"{"type":"message_stop"}"#,
    ]);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (vec((record, end), 0..12), any::<bool>()).prop_map(|(records, is_sse)| {
        let number = records.len();
        let mut body = Vec::new();
        for (record, end) in records {
            let text = match (is_sse, end) {
                (true, end) => format!(": c{end}event: x{end}data: {record}{end}{end}"),
                // A lone CR does not end a line of NDJSON.
                (false, "\r") => format!("{record}\n"),
                (false, end) => format!("{record}{end}"),
            };
            body.extend_from_slice(text.as_bytes());
        }
        (if is_sse { Framing::Sse } else { Framing::Ndjson }, body, number)
    })
}

/// Cuts a body at places that are given as parts of its length.
fn cut<'a>(body: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(body.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places.into_iter().chain([body.len()]) {
        pieces.push(&body[start..place]);
        start = place;
    }
    pieces
}

proptest! {
    #[test]
    fn scanner_reads_same_records_from_any_split_of_a_stream(
        (framing, body, number) in stream(),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        for dialect in DIALECTS {
            let whole = told(framing, dialect, [&body[..]]);
            prop_assert_eq!(whole.len(), number);
            prop_assert!(whole.iter().all(|scan| matches!(scan, Scan::Record(_))));
            prop_assert_eq!(&whole, &told(framing, dialect, cut(&body, &places)));
            prop_assert_eq!(&whole, &told(framing, dialect, body.chunks(1)));
        }
    }

    #[test]
    fn scanner_reads_same_records_from_any_split_of_any_bytes(
        pieces in vec(piece(), 0..24),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let body = pieces.concat();
        for framing in FRAMINGS {
            for dialect in DIALECTS {
                let whole = told(framing, dialect, [&body[..]]);
                prop_assert_eq!(&whole, &told(framing, dialect, cut(&body, &places)));
                prop_assert_eq!(&whole, &told(framing, dialect, body.chunks(1)));
            }
        }
    }

    #[test]
    fn scanner_accepts_random_bytes(
        body in vec(any::<u8>(), 0..200),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        for framing in FRAMINGS {
            for dialect in DIALECTS {
                let whole = told(framing, dialect, [&body[..]]);
                prop_assert_eq!(&whole, &told(framing, dialect, cut(&body, &places)));
            }
        }
    }
}
