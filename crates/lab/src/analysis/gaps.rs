//! The gaps of one response.

/// The gaps between the chunks of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaps {
    pub(super) count: u32,
    pub(super) sum: f64,
    pub(super) longest: f64,
}

impl Gaps {
    /// Adds a gap in seconds. A gap that is not a number is ignored.
    pub fn add(&mut self, gap: f64) {
        if gap.is_finite() {
            self.count += 1;
            self.sum += gap;
            self.longest = self.longest.max(gap);
        }
    }
}
