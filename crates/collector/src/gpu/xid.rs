//! The XID errors of one GPU: counted by a closed list of codes, and logged without a flood.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The codes with a series of their own, and their meaning in NVIDIA's catalog. Each series starts at 0, because
/// `rate()` and `increase()` ignore the first value of a series.
const CODES: [(u64, &str, &str); 18] = [
    (8, "8", "the GPU stopped processing"),
    (13, "13", "graphics engine exception, often a bug of the program"),
    (31, "31", "memory page fault, often a bug of the program"),
    (43, "43", "a program's channel was reset after its own error"),
    (45, "45", "a program's channel was removed after an earlier error"),
    (48, "48", "double-bit ECC error"),
    (62, "62", "internal microcontroller halt"),
    (63, "63", "a memory repair was recorded"),
    (64, "64", "a memory repair could not be recorded"),
    (74, "74", "NVLink error"),
    (79, "79", "the GPU has fallen off the bus"),
    (92, "92", "high rate of single-bit ECC errors"),
    (94, "94", "contained ECC error"),
    (95, "95", "uncontained ECC error"),
    (119, "119", "the GPU's system processor did not answer in time"),
    (120, "120", "error of the GPU's system processor"),
    (140, "140", "ECC error that cannot be corrected"),
    (154, "154", "the GPU needs a recovery action"),
];
/// The label of all other codes.
const OTHER: &str = "other";
/// An error that comes again is logged once in this time.
const QUIET: Duration = Duration::from_secs(60);
/// The most codes whose last log line is remembered. NVIDIA's catalog has fewer than 200.
const MOST: usize = 512;

/// XID errors of one GPU with one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XidReport {
    /// The position of the GPU in the list that [`Reader::open`](super::Reader::open) returned.
    pub position: usize,
    /// The code in NVIDIA's catalog.
    pub code: u64,
    /// The number of these errors since the last report.
    pub errors: u64,
}

/// The errors of one GPU since it was found.
#[derive(Debug, Default)]
pub(super) struct XidErrors {
    /// By the position in `CODES`, and then the others.
    counts: [u64; CODES.len() + 1],
    told: BTreeMap<u64, Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// The errors since then.
    since: u64,
}

impl XidErrors {
    /// Counts errors. Returns how many errors of this code to log now, these included; `None`: the log has one of less
    /// than a minute ago.
    pub(super) fn note(&mut self, code: u64, errors: u64, now: Instant) -> Option<u64> {
        let position = CODES.iter().position(|(known, ..)| *known == code);
        self.counts[position.unwrap_or(CODES.len())] += errors;
        if !self.told.contains_key(&code) && self.told.len() >= MOST {
            return None;
        }
        let told = self.told.entry(code);
        let is_new = matches!(told, std::collections::btree_map::Entry::Vacant(_));
        let told = told.or_insert(Told { at: now, since: 0 });
        told.since += errors;
        let is_due = is_new || now.saturating_duration_since(told.at) >= QUIET;
        is_due.then(|| {
            told.at = now;
            std::mem::take(&mut told.since)
        })
    }

    /// Returns each label `xid`, and its errors.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let labels = CODES.iter().map(|(_, label, _)| *label).chain([OTHER]);
        labels.zip(self.counts.iter().copied())
    }
}

/// Returns what a code means.
pub(super) fn meaning(code: u64) -> &'static str {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    known.map_or("see NVIDIA's XID catalog", |(_, _, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xid_error_that_repeats_is_counted_each_time_and_logged_once_a_minute() {
        let (mut errors, start) = (XidErrors::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(errors.note(13, 1, at(0)), Some(1));
        assert_eq!([1, 30, 59].map(|second| errors.note(13, 1, at(second))), [None; 3]);
        assert_eq!(errors.note(79, 5, at(59)), Some(5), "another code");
        assert_eq!(errors.note(13, 1, at(60)), Some(4));
        assert_eq!(errors.note(13, 1, at(61)), None);
        let counts: BTreeMap<_, _> = errors.counts().collect();
        assert_eq!((counts["13"], counts["79"], counts["other"]), (6, 5, 0));
    }

    #[test]
    fn labels_and_memory_of_unknown_xid_errors_are_bounded() {
        let (mut errors, now) = (XidErrors::default(), Instant::now());
        for code in 1_000..101_000 {
            errors.note(code, 1, now);
        }
        assert_eq!(errors.counts().count(), CODES.len() + 1);
        assert_eq!(errors.counts().last(), Some((OTHER, 100_000)));
        assert_eq!(errors.told.len(), MOST);
    }

    #[test]
    fn label_of_each_code_is_its_number() {
        assert!(CODES.iter().all(|(code, label, _)| code.to_string() == *label));
        assert!(CODES.is_sorted_by_key(|(code, ..)| *code));
    }
}
