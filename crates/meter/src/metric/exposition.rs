//! Metrics that are written anew at each scrape, so a series disappears with what it describes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto,
};

use super::Child;

/// The name, type, help and labels of a metric.
#[derive(Debug)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    kind: proto::MetricType,
    labels: &'static [&'static str],
}

impl Metric {
    /// Describes a gauge. `name` is the complete name.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
        Metric { name, help, kind: proto::MetricType::GAUGE, labels }
    }

    /// Describes a counter. `name` is the complete name.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
        Metric { name, help, kind: proto::MetricType::COUNTER, labels }
    }

    /// Describes a histogram. `name` is the complete name.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Metric {
        Metric { name, help, kind: proto::MetricType::HISTOGRAM, labels }
    }
}

/// The metrics of one scrape.
#[derive(Debug, Default)]
pub struct Page(BTreeMap<&'static str, proto::MetricFamily>);

impl Page {
    /// Writes the value of a gauge or a counter. NaN is not written.
    pub fn put(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        if value.is_nan() {
            return;
        }
        let mut written = proto::Metric::default();
        if metric.kind == proto::MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            written.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            written.set_gauge(gauge);
        }
        self.push(metric, labels, written);
    }

    /// Writes a value, if there is one.
    pub fn put_some(&mut self, metric: &Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.put(metric, labels, value);
        }
    }

    /// Writes a child of the metric's type that was counted elsewhere.
    pub fn put_child(&mut self, metric: &Metric, labels: &[&str], child: &impl Child) {
        let mut written = proto::Metric::default();
        child.write(&mut written);
        self.push(metric, labels, written);
    }

    fn push(&mut self, metric: &Metric, values: &[&str], mut written: proto::Metric) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let pairs = metric.labels.iter().zip(values).map(|(label, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*label).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        written.set_label(pairs.collect());
        let family = self.0.entry(metric.name).or_insert_with(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(metric.kind);
            family
        });
        family.mut_metric().push(written);
    }
}

/// Writes the metrics from `state` at each scrape.
#[derive(Debug)]
pub struct Exposition<T> {
    descs: Vec<Desc>,
    state: Arc<Mutex<T>>,
    write: fn(&T, &mut Page),
}

impl<T: Send + 'static> Exposition<T> {
    /// Registers `metrics`, which are all metrics that `write` may write. The lock is held while `write` runs, so
    /// other code must not hold it during slow work.
    ///
    /// # Errors
    /// The registry already has one of the names.
    pub fn register(
        registry: &Registry,
        metrics: &[&Metric],
        state: Arc<Mutex<T>>,
        write: fn(&T, &mut Page),
    ) -> prometheus::Result<()> {
        let desc = |metric: &&Metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(metric.name.to_owned(), metric.help.to_owned(), labels, Default::default())
        };
        let descs = metrics.iter().map(desc).collect::<prometheus::Result<_>>()?;
        registry.register(Box::new(Exposition { descs, state, write }))
    }
}

impl<T: Send> Collector for Exposition<T> {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut page = Page::default();
        (self.write)(&self.state.lock().unwrap_or_else(PoisonError::into_inner), &mut page);
        page.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Metric = Metric::gauge("one", "One.", &["a"]);
    const TWO: Metric = Metric::counter("two_total", "Two.", &[]);

    #[test]
    fn series_removed_from_state_is_removed_from_exposition() {
        let registry = Registry::new();
        let state = Arc::new(Mutex::new(vec!["x", "y"]));
        Exposition::register(&registry, &[&ONE, &TWO], state.clone(), |state, page| {
            state.iter().for_each(|name| page.put(&ONE, &[name], 1.0));
            page.put(&TWO, &[], f64::NAN);
        })
        .unwrap();
        let read = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(read(), "# HELP one One.\n# TYPE one gauge\none{a=\"x\"} 1\none{a=\"y\"} 1\n");
        state.lock().unwrap().clear();
        assert_eq!(read(), "");
    }
}
