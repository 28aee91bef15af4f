//! The scanner.

use streamgauge::protocol::{Dialect, Framing, Scan, Scanner};

use super::counter::allocations;

const LINE: &[u8] = b"{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-11-24T09:15:30.123456789Z\",\"response\":\" \\\"the\\\"\",\"done\":false}\n";
const EVENT: &[u8] = b": keep-alive\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\r\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";

/// The allocations of a body of a thousand records in pieces of one size, after a few records in smaller pieces.
fn of_a_body(framing: Framing, dialect: Dialect, record: &[u8], size: usize) -> usize {
    let body = record.repeat(1000);
    let mut scanner = Scanner::new(framing, dialect);
    let mut records = 0;
    let mut tell = |scan| match scan {
        Scan::Record(record) => records += usize::from(record.has_content),
        Scan::Unscanned(why) => panic!("{why:?}"),
    };
    // The buffer for a split record exists after the first one.
    record.repeat(4).chunks(7.min(size)).for_each(|piece| scanner.scan(piece, &mut tell));
    let allocations = allocations(|| body.chunks(size).for_each(|piece| scanner.scan(piece, &mut tell)));
    assert_eq!(records, 1004);
    allocations
}

#[test]
fn record_whole_or_split_allocates_nothing() {
    for size in [1, 7, 64, 1000, 65_536] {
        assert_eq!(of_a_body(Framing::Ndjson, Dialect::Ollama, LINE, size), 0, "lines by {size}");
        assert_eq!(of_a_body(Framing::Sse, Dialect::Anthropic, EVENT, size), 0, "events by {size}");
    }
}

#[test]
fn body_of_whole_lines_allocates_nothing() {
    let body = LINE.repeat(100);
    let allocations = allocations(|| {
        let mut scanner = Scanner::new(Framing::Ndjson, Dialect::Ollama);
        scanner.scan(&body, |_| {});
        scanner.finish(|_| {});
    });
    assert_eq!(allocations, 0);
}
