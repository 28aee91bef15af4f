//! The exemplars of several histograms, for one scrape.

use prometheus::proto;

use super::{Exemplar, Family, Histogram, by_series::BySeries};

/// The exemplars of a scrape, by family and labels.
#[derive(Debug, Default)]
pub struct Exemplars(BySeries<Vec<Exemplar>>);

impl Exemplars {
    /// Adds the present exemplars of a family.
    pub fn add<const N: usize>(&mut self, family: &Family<Histogram, N>) {
        self.0.add(family, |child| Some(child.exemplars()).filter(|exemplars| !exemplars.is_empty()));
    }

    /// Returns the exemplars of a series of the histogram `family`, with those of the lowest buckets first.
    #[must_use]
    pub fn of(&self, family: &str, metric: &proto::Metric) -> &[Exemplar] {
        self.0.of(family, metric).map_or(&[], Vec::as_slice)
    }
}
