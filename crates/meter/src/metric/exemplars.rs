//! The exemplars of several histograms, for one scrape.

use std::collections::HashMap;

use prometheus::{core::Collector, proto};

use super::{Exemplar, Family, Histogram};

/// The labels of a series, sorted.
type Labels = Vec<(String, String)>;

/// The exemplars of a scrape, by family and labels.
#[derive(Debug, Default)]
pub struct Exemplars(HashMap<String, HashMap<Labels, Vec<Exemplar>>>);

impl Exemplars {
    /// Adds the present exemplars of a family.
    pub fn add<const N: usize>(&mut self, family: &Family<Histogram, N>) {
        let Some(desc) = family.desc().first().map(|desc| desc.fq_name.clone()) else { return };
        let of_family = self.0.entry(desc).or_default();
        family.each_labeled(|names, values, child| {
            let exemplars = child.exemplars();
            if !exemplars.is_empty() {
                let pairs = names.iter().zip(values);
                let mut labels: Labels =
                    pairs.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                labels.sort_unstable();
                of_family.insert(labels, exemplars);
            }
        });
    }

    /// Returns the exemplars of a series of the histogram `family`, with those of the lowest buckets first.
    #[must_use]
    pub fn of(&self, family: &str, metric: &proto::Metric) -> &[Exemplar] {
        let Some(of_family) = self.0.get(family).filter(|of_family| !of_family.is_empty()) else {
            return &[];
        };
        let pairs = metric.get_label().iter();
        let mut labels: Labels =
            pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect();
        labels.sort_unstable();
        of_family.get(&labels).map_or(&[], Vec::as_slice)
    }
}
