//! Parses `/metrics` without the project's own code.

use std::collections::BTreeMap;

/// Series with their labels and values.
pub(crate) struct Scrape(Vec<(String, BTreeMap<String, String>, f64)>);

impl Scrape {
    /// The label values here contain no `,`, `=` or escaped quotes.
    pub(crate) fn read(exposition: &str) -> Scrape {
        let series = exposition.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
            (name.to_owned(), labels.collect(), value.parse().unwrap())
        });
        Scrape(series.collect())
    }

    fn chosen<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a (String, BTreeMap<String, String>, f64)> {
        let name = format!("streamgauge_{name}");
        self.0.iter().filter(move |(known, own, _)| {
            *known == name
                && labels.iter().all(|(label, value)| own.get(*label).is_some_and(|own| own == value))
        })
    }

    /// The sum of all series of a name that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.chosen(name, labels).map(|(_, _, value)| value).sum()
    }

    /// The values of a label, with their sums.
    pub(crate) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (_, labels, value) in self.chosen(name, &[]) {
            *sums.entry(labels[label].clone()).or_default() += value;
        }
        sums
    }

    /// Quantiles as `histogram_quantile` of Prometheus computes them.
    pub(crate) fn quantile(&self, q: f64, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.located(q, name, labels).map(|(_, value, _)| value)
    }

    /// The bucket that contains a quantile.
    pub(crate) fn bucket(&self, q: f64, name: &str, labels: &[(&str, &str)]) -> Option<(f64, f64)> {
        self.located(q, name, labels).map(|(lower, _, upper)| (lower, upper))
    }

    /// A quantile, interpolated between the bounds of its bucket.
    fn located(&self, q: f64, name: &str, labels: &[(&str, &str)]) -> Option<(f64, f64, f64)> {
        let mut buckets = BTreeMap::<u64, (f64, f64)>::new();
        for (_, labels, count) in self.chosen(&format!("{name}_bucket"), labels) {
            let bound: f64 = labels["le"].parse().unwrap();
            buckets.entry(bound.to_bits()).or_insert((bound, 0.0)).1 += count;
        }
        // Bounds are positive, so their bits have the same order.
        let buckets: Vec<_> = buckets.into_values().collect();
        let rank = q * buckets.last().filter(|(_, total)| *total > 0.0)?.1;
        let at = buckets.iter().position(|(_, count)| *count >= rank).unwrap();
        let (lower, below) = at.checked_sub(1).map_or((0.0, 0.0), |before| buckets[before]);
        let (upper, count) = buckets[at];
        if upper.is_infinite() {
            return Some((lower, lower, upper));
        }
        Some((lower, lower + (upper - lower) * (rank - below) / (count - below), upper))
    }
}
