//! The analysis of a million chunks needs less than 300 MB, the recording included, and reading them less than 100 MB. A
//! report needs less than 100 MB for ten million.
#![allow(unsafe_code, reason = "a global allocator that counts can't be written without")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use streamgauge_lab::{
    analysis::{Settings, analyse},
    experiment::{
        Plan,
        recording::{self, Environment, Writer, read, read_all},
    },
    report::Report,
};

mod million;
mod written;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn hold(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is passed unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist while the bytes are copied.
        hold(size);
        // SAFETY: the caller's promise is passed on.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        HELD.fetch_sub(layout.size(), Relaxed);
        moved
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tests share one counter, so they run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn reading_a_million_chunks_takes_less_than_100_mb() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let plan: Plan =
        "name = \"p\"\n[upstreams]\none = \"http://127.0.0.1:1\"\n[[agent]]\nname = \"a\"\nmodel = \"m\"\n\
                      prompt = \"p\"\ntokens = 1\n[[condition]]\nname = \"c\"\n"
            .parse()
            .unwrap();
    let mut writer = Writer::create(folder.path(), &plan, &Environment::default()).unwrap();
    let mut recording = million::recording();
    writer.chunks(&recording.chunks).unwrap();
    drop(writer);
    // Without runs.csv, the rows need no run.
    std::fs::remove_file(folder.path().join("runs.csv")).unwrap();
    recording = Default::default();
    assert!(recording.chunks.is_empty());
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let recorded = read(folder.path()).unwrap();
    assert_eq!(recorded.recording.chunks.len(), 1_000_000);
    // A chunk has 40 bytes, and a list that grows is twice as large for a moment.
    let peak = PEAK.load(Relaxed) - before;
    assert!(peak < 100_000_000, "{} MB", peak / 1_000_000);
}

#[test]
fn analysis_of_a_million_chunks_takes_less_than_300_mb() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    PEAK.store(HELD.load(Relaxed), Relaxed);
    let recording = million::recording();
    assert_eq!(recording.chunks.len(), 1_000_000);
    // The memory of the resampling does not depend on the number of chunks.
    let analysis = analyse(&recording, &Settings { resamples: 100, ..Settings::default() });
    assert_eq!(analysis.runs.iter().map(|run| run.chunks).sum::<usize>(), 1_000_000);
    let peak = PEAK.load(Relaxed);
    assert!(peak < 300_000_000, "{} MB", peak / 1_000_000);
}

/// Returns the most bytes that the report of a recording of this size holds at once.
fn peak_of_report(size: written::Size) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    written::write(&path, size);
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let settings = Settings { resamples: 100, ..Settings::default() };
    let mut read = 0;
    let recorded = read_all(&path, &settings, &mut |bytes| read += bytes).unwrap();
    let on_disk = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path());
    let rows = on_disk.filter(|file| file.extension().is_some_and(|end| end == "csv"));
    let rows: u64 = rows.map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!((read, recording::size(&path)), (rows, rows), "the progress reaches the size");
    let report = Report::of(recorded, &settings);
    assert_eq!(report.analysis.runs.iter().map(|run| run.chunks as u64).sum::<u64>(), size.chunks());
    assert!(report.text(Some(100)).contains("condition 4"));
    drop(report.html());
    PEAK.load(Relaxed) - before
}

#[test]
fn report_holds_the_rows_of_one_run_and_not_of_all() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let small = written::Size { repetitions: 2, chunks_of_an_agent: 3000 };
    // Six times as many runs, of the same length.
    let large = written::Size { repetitions: 12, ..small };
    let (few, many) = (peak_of_report(small), peak_of_report(large));
    let rows = (large.chunks() - small.chunks()) as usize;
    // A row has 24 bytes. A run keeps its seconds and the bins of its curves.
    assert!(many - few < 6 * rows, "{} bytes for each of {rows} further rows", (many - few) / rows);
}

/// `just report-memory` runs it: 0.5 GB on disk.
#[test]
#[ignore = "ten million chunks take half a gigabyte on disk, and a minute"]
fn report_of_ten_million_chunks_takes_less_than_100_mb() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let size = written::Size { repetitions: 100, chunks_of_an_agent: 5000 };
    assert_eq!(size.chunks(), 10_000_000);
    let peak = peak_of_report(size);
    assert!(peak < 100_000_000, "{} MB", peak / 1_000_000);
}
