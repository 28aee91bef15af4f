//! Groups the rows of a file by run, and passes on each run when its last row was read.

use std::collections::{HashMap, HashSet};

/// The rows of a run end where a row of another run follows, as this program writes them. In a file that mixes runs,
/// [`ByRun::mixed`] tells so, and the file is read again with all runs held until its end.
pub(super) struct ByRun<R> {
    held: HashMap<u32, R>,
    current: Option<u32>,
    ended: HashSet<u32>,
    hold: bool,
    /// Whether a run that had ended has more rows.
    pub(super) mixed: bool,
}

impl<R: Default> ByRun<R> {
    pub(super) fn new(hold: bool) -> ByRun<R> {
        ByRun { held: HashMap::new(), current: None, ended: HashSet::new(), hold, mixed: false }
    }

    /// Returns the rows of a run, to which the next row belongs. `over` takes those of the previous run, if it has ended.
    /// `None`: the file mixes runs.
    pub(super) fn rows(&mut self, run: u32, over: impl FnOnce(u32, R)) -> Option<&mut R> {
        if self.mixed {
            return None;
        }
        if self.current != Some(run) {
            if let Some(before) = self.current.replace(run).filter(|_| !self.hold)
                && let Some(rows) = self.held.remove(&before)
            {
                self.ended.insert(before);
                over(before, rows);
            }
            if self.ended.contains(&run) {
                self.mixed = true;
                self.held.clear();
                return None;
            }
        }
        Some(self.held.entry(run).or_default())
    }

    /// Returns the runs that have not been passed on.
    pub(super) fn rest(self) -> impl Iterator<Item = (u32, R)> {
        self.held.into_iter()
    }
}
