//! The scanner allocates nothing in the steady state.
#![allow(unsafe_code, reason = "a global allocator that counts can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use streamgauge::protocol::{Dialect, Framing, Scan, Scanner};

struct Counting;

thread_local! {
    /// By thread, so that tests and their harness don't count for one another.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// A thread that ends has no counter any more; what it allocates then is no one's.
fn count() {
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const LINE: &[u8] = b"{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-11-24T09:15:30.123456789Z\",\"response\":\" \\\"the\\\"\",\"done\":false}\n";
const EVENT: &[u8] = b": keep-alive\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\r\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";

/// Allocations of a body of a thousand records, after a first few, in pieces of a size.
fn of_a_body(framing: Framing, dialect: Dialect, record: &[u8], size: usize) -> usize {
    let first = record.repeat(4);
    let body = record.repeat(1000);
    let mut scanner = Scanner::new(framing, dialect);
    let mut records = 0;
    let mut tell = |scan| match scan {
        Scan::Record(record) => records += usize::from(record.has_content),
        Scan::Unscanned(why) => panic!("{why:?}"),
    };
    first.chunks(size).for_each(|piece| scanner.scan(piece, &mut tell));
    let allocations = allocations(|| body.chunks(size).for_each(|piece| scanner.scan(piece, &mut tell)));
    assert_eq!(records, 1004);
    allocations
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| ()), 0);
}

#[test]
fn records_whole_or_split_allocate_nothing() {
    for size in [1, 7, 64, 1000, 65_536] {
        assert_eq!(of_a_body(Framing::Ndjson, Dialect::Ollama, LINE, size), 0, "lines by {size}");
        assert_eq!(of_a_body(Framing::Sse, Dialect::Anthropic, EVENT, size), 0, "events by {size}");
    }
}

#[test]
fn a_body_of_whole_lines_allocates_nothing_at_all() {
    let body = LINE.repeat(100);
    let allocations = allocations(|| {
        let mut scanner = Scanner::new(Framing::Ndjson, Dialect::Ollama);
        scanner.scan(&body, |_| {});
        scanner.finish(|_| {});
    });
    assert_eq!(allocations, 0);
}
