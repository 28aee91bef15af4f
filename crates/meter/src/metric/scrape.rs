//! Reads a registry as Prometheus does, for code that shows its figures.

mod buckets;
pub(super) mod number;

use std::slice;

use prometheus::{
    Registry,
    proto::{self, MetricFamily},
};

pub use buckets::Buckets;

/// The values of a registry at one moment.
#[derive(Debug)]
pub struct Scrape(Vec<MetricFamily>);

/// One family of a scrape. It is empty if the registry does not have it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a>(Option<&'a MetricFamily>);

/// One series.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a>(&'a proto::Metric);

impl Scrape {
    /// Reads the whole registry.
    #[must_use]
    pub fn take(registry: &Registry) -> Scrape {
        Scrape(registry.gather())
    }

    /// Returns the family named `streamgauge_` + `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Found<'_> {
        let named = |family: &&MetricFamily| family.name().strip_prefix("streamgauge_") == Some(name);
        Found(self.0.iter().find(named))
    }
}

impl<'a> Found<'a> {
    /// Returns its series.
    pub fn series(self) -> impl Iterator<Item = Series<'a>> {
        let metrics: slice::Iter<'a, _> = self.0.map_or(&[][..], MetricFamily::get_metric).iter();
        metrics.map(Series)
    }

    /// Returns the sum of the values of the wanted series.
    pub fn sum(self, wanted: impl Fn(Series<'_>) -> bool) -> f64 {
        // `Iterator::sum` of no values is -0.
        self.series().filter(|series| wanted(*series)).map(Series::value).fold(0.0, |sum, value| sum + value)
    }

    /// Returns the buckets of the wanted series, added.
    pub fn buckets(self, wanted: impl Fn(Series<'_>) -> bool) -> Buckets {
        let wanted = self.series().filter(|series| wanted(*series));
        wanted.map(|series| Buckets::of(series.0.get_histogram())).fold(Buckets::default(), Buckets::plus)
    }
}

impl<'a> Series<'a> {
    /// Returns the value of a label, or an empty text if the series does not have the label.
    #[must_use]
    pub fn label(self, name: &str) -> &'a str {
        self.0.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
    }

    /// Returns the value of a counter or a gauge. The other of the two is missing and reads 0.
    #[must_use]
    pub fn value(self) -> f64 {
        number_of(self.0)
    }
}

/// Returns the value of a counter or a gauge, whatever features of `prometheus` are on.
#[must_use]
pub fn number_of(metric: &proto::Metric) -> f64 {
    // The one that the metric is not has 0.
    number::of_counter(metric) + number::of_gauge(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Family, Histogram, gauge};

    #[test]
    fn scrape_finds_series_by_labels_and_none_if_absent() {
        let registry = Registry::new();
        let family = Family::register(&registry, "depth", "Depth.", ["upstream"], gauge).unwrap();
        family.child(["a"]).set(2.0);
        family.child(["b"]).set(3.0);
        let waits =
            Family::register(&registry, "wait", "Wait.", ["upstream"], || Histogram::new(&[1.0, 2.0]));
        waits.unwrap().child(["a"]).observe(0.5);
        let scrape = Scrape::take(&registry);
        assert_eq!(scrape.find("depth").sum(|series| series.label("upstream") == "b"), 3.0);
        assert_eq!(scrape.find("depth").sum(|_| true), 5.0);
        for absent in [scrape.find("depth").sum(|_| false), scrape.find("nothing").sum(|_| true)] {
            // An empty sum of floats is -0 in Rust, which a table would show.
            assert_eq!(absent.to_string(), "0");
        }
        assert_eq!(scrape.find("wait").buckets(|_| true).count(), 1);
        assert_eq!(scrape.find("nothing").series().count(), 0);
        assert_eq!(scrape.find("nothing").buckets(|_| true), Buckets::default());
        assert_eq!(scrape.find("depth").series().next().unwrap().label("nothing"), "");
    }
}
