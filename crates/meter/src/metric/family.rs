//! The children of one metric, keyed by all of their label values.
//!
//! prometheus's `…Vec` hashes label values without a separator, so `("a", "prompt_eval")` and `("aprompt_", "eval")`
//! would be the same child. With names of models among the values, this would mix up two models.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto,
};

/// A child of a family: a value that can be exported.
pub trait Child: Send + Sync + 'static {
    /// The type, as in `# TYPE`.
    const TYPE: proto::MetricType;
    /// Writes the value. The family writes the labels.
    fn write(&self, metric: &mut proto::Metric);
}

fn write_counter(metric: &mut proto::Metric, value: f64) {
    let mut counter = proto::Counter::default();
    counter.set_value(value);
    metric.set_counter(counter);
}

impl Child for prometheus::Counter {
    const TYPE: proto::MetricType = proto::MetricType::COUNTER;
    fn write(&self, metric: &mut proto::Metric) {
        write_counter(metric, self.get());
    }
}

impl Child for prometheus::IntCounter {
    const TYPE: proto::MetricType = proto::MetricType::COUNTER;
    fn write(&self, metric: &mut proto::Metric) {
        write_counter(metric, self.get() as f64);
    }
}

impl Child for prometheus::Gauge {
    const TYPE: proto::MetricType = proto::MetricType::GAUGE;
    fn write(&self, metric: &mut proto::Metric) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(self.get());
        metric.set_gauge(gauge);
    }
}

/// A metric with labels. Cheap to clone.
pub struct Family<C, const N: usize> {
    inner: Arc<Inner<C, N>>,
}

struct Inner<C, const N: usize> {
    desc: Desc,
    labels: [&'static str; N],
    make: Box<dyn Fn() -> C + Send + Sync>,
    /// Sorted by label values. Unlike a map with keys of `String`, it is searched without an allocation.
    children: RwLock<Vec<([String; N], Arc<C>)>>,
}

impl<C: Child, const N: usize> Family<C, N> {
    /// Creates a family named `streamgauge_` + `name` that is not registered. `make` creates a child at zero.
    ///
    /// # Errors
    /// Prometheus does not allow the name or a label.
    pub fn new(
        name: &str,
        help: &str,
        labels: [&'static str; N],
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> prometheus::Result<Family<C, N>> {
        let variable = labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(format!("streamgauge_{name}"), help.to_owned(), variable, Default::default())?;
        let inner = Inner { desc, labels, make: Box::new(make), children: RwLock::default() };
        Ok(Family { inner: Arc::new(inner) })
    }

    /// Creates a family and registers it.
    ///
    /// # Errors
    /// The registry already has the name.
    pub fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> prometheus::Result<Family<C, N>> {
        let family = Family::new(name, help, labels, make)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    /// Returns the child with these label values. A new child starts at zero. Look a child up once and keep it.
    #[must_use]
    pub fn child(&self, values: [&str; N]) -> Arc<C> {
        let place = |children: &[([String; N], Arc<C>)]| {
            children.binary_search_by(|(known, _)| known.iter().map(String::as_str).cmp(values))
        };
        {
            let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
            if let Ok(index) = place(&children) {
                return children[index].1.clone();
            }
        }
        let mut children = self.inner.children.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added it in between.
        let index = place(&children).unwrap_or_else(|index| {
            children.insert(index, (values.map(str::to_owned), Arc::new((self.inner.make)())));
            index
        });
        children[index].1.clone()
    }

    /// Removes the children whose label values do not fit. No code may count on them any more.
    pub fn retain(&self, fits: impl Fn(&[String; N]) -> bool) {
        let mut children = self.inner.children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|(values, _)| fits(values));
    }

    /// Visits every child.
    pub fn each(&self, visit: impl Fn(&C)) {
        let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
        children.iter().for_each(|(_, child)| visit(child));
    }

    /// Visits every child with the names and the values of its labels.
    pub(super) fn each_labeled(&self, mut visit: impl FnMut(&[&'static str; N], &[String; N], &C)) {
        let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
        children.iter().for_each(|(values, child)| visit(&self.inner.labels, values, child));
    }

    /// Folds the children whose label values fit into one value.
    pub fn fold<T>(&self, start: T, fits: impl Fn(&[String; N]) -> bool, add: impl Fn(T, &C) -> T) -> T {
        let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
        children.iter().filter(|(values, _)| fits(values)).fold(start, |sum, (_, child)| add(sum, child))
    }
}

impl<C: Child, const N: usize> Collector for Family<C, N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.inner.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let children = self.inner.children.read().unwrap_or_else(PoisonError::into_inner);
        let metrics = children.iter().map(|(values, child)| {
            let pairs = self.inner.labels.iter().zip(values).map(|(label, value)| {
                let mut pair = proto::LabelPair::default();
                pair.set_name((*label).to_owned());
                pair.set_value(value.clone());
                pair
            });
            let mut metric = proto::Metric::from_label(pairs.collect());
            child.write(&mut metric);
            metric
        });
        let mut family = proto::MetricFamily::default();
        family.set_metric(metrics.collect());
        family.set_name(self.inner.desc.fq_name.clone());
        family.set_help(self.inner.desc.help.clone());
        family.set_field_type(C::TYPE);
        vec![family]
    }
}

impl<C, const N: usize> Clone for Family<C, N> {
    fn clone(&self) -> Self {
        Family { inner: self.inner.clone() }
    }
}

impl<C, const N: usize> fmt::Debug for Family<C, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.inner.desc.fq_name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_that_concatenate_equally_stay_two_children() {
        let registry = Registry::new();
        let make = || prometheus::IntCounter::new("c", "c").expect("a valid name");
        let family = Family::register(&registry, "t_total", "t", ["model", "phase"], make).unwrap();
        family.child(["a", "prompt_eval"]).inc();
        family.child(["aprompt_", "eval"]).inc_by(2);
        family.child(["a", "prompt_eval"]).inc();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("streamgauge_t_total{model=\"a\",phase=\"prompt_eval\"} 2"), "{text}");
        assert!(text.contains("streamgauge_t_total{model=\"aprompt_\",phase=\"eval\"} 2"), "{text}");
    }
}
