//! The moments at which a range of the page may begin.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Totals, reading::Reading};

/// Marks younger than this are ten seconds apart.
const CLOSE: Duration = Duration::from_secs(70);
/// Older marks are this far apart.
const FAR: Duration = Duration::from_secs(60);
/// The longest range.
const KEPT: Duration = Duration::from_secs(3600);

/// A reading with its totals.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) reading: Reading,
    pub(super) totals: Arc<Totals>,
}

/// Oldest first. There are at most 70: one every ten seconds for the last 70 s, and one a minute for the hour before.
/// A mark has 2 KiB, and some 250 bytes for each row of its tables: 140 KiB and, with the most rows, 2.6 MiB.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

impl Marks {
    pub(super) fn add(&mut self, reading: &Reading, totals: &Totals) {
        let now = reading.at;
        // Equal totals are shared, as they are in an idle hour.
        let same = self.0.back().filter(|last| *last.totals == *totals).map(|last| last.totals.clone());
        self.0.push_back(Mark {
            reading: reading.clone(),
            totals: same.unwrap_or_else(|| Arc::new(totals.clone())),
        });
        let mut kept: Option<Instant> = None;
        self.0.retain(|mark| {
            let age = now - mark.reading.at;
            let is_kept =
                age <= KEPT + FAR && (age <= CLOSE || kept.is_none_or(|kept| mark.reading.at - kept >= FAR));
            if is_kept {
                kept = Some(mark.reading.at);
            }
            is_kept
        });
    }

    /// The mark whose distance from `now` is nearest to the range.
    pub(super) fn nearest(&self, now: Instant, range: Duration) -> Option<&Mark> {
        self.0.iter().min_by_key(|mark| (now - mark.reading.at).abs_diff(range))
    }

    pub(super) fn readings_mut(&mut self) -> impl Iterator<Item = &mut Reading> {
        self.0.iter_mut().map(|mark| &mut mark.reading)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
