//! Values of the series of several histograms, for one scrape.

use std::collections::HashMap;

use prometheus::{core::Collector, proto};

use super::{Family, Histogram};

/// The labels of a series, sorted.
type Labels = Vec<(String, String)>;

/// The values, by family and labels.
#[derive(Debug)]
pub(super) struct BySeries<T>(HashMap<String, HashMap<Labels, T>>);

impl<T> Default for BySeries<T> {
    fn default() -> BySeries<T> {
        BySeries(HashMap::new())
    }
}

impl<T> BySeries<T> {
    /// Adds what `read` returns for each series of a family.
    pub(super) fn add<const N: usize>(
        &mut self,
        family: &Family<Histogram, N>,
        read: impl Fn(&Histogram) -> Option<T>,
    ) {
        let Some(name) = family.desc().first().map(|desc| desc.fq_name.clone()) else { return };
        let of_family = self.0.entry(name).or_default();
        family.each_labeled(|names, values, child| {
            if let Some(value) = read(child) {
                let pairs = names.iter().zip(values);
                of_family
                    .insert(sorted(pairs.map(|(name, value)| ((*name).to_owned(), value.clone()))), value);
            }
        });
    }

    /// Returns the value of a series.
    pub(super) fn of(&self, family: &str, metric: &proto::Metric) -> Option<&T> {
        let of_family = self.0.get(family).filter(|of_family| !of_family.is_empty())?;
        let pairs = metric.get_label().iter();
        of_family.get(&sorted(pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned()))))
    }
}

fn sorted(pairs: impl Iterator<Item = (String, String)>) -> Labels {
    let mut labels: Labels = pairs.collect();
    labels.sort_unstable();
    labels
}
