//! The text format OpenMetrics 1.0, which `prometheus` does not write.
//!
//! It differs from the text format 0.0.4 in the name of a counter's family, the units, the notation of bounds, the exemplars
//! and the last line.

use std::{
    fmt::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Exemplar, Exemplars, scrape::number};

/// The value of `Content-Type`.
pub const OPENMETRICS_FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The units of the metrics, as the last word of the name of their family.
const UNITS: [&str; 8] = ["seconds", "bytes", "ratio", "joules", "watts", "celsius", "hertz", "volts"];

/// Writes what [`prometheus::Registry::gather`] returned. A counter whose name does not end with `_total` keeps its name, and
/// its type is `unknown`. Timestamps are not written.
#[must_use]
pub fn openmetrics(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut page = String::new();
    for family in families {
        write_family(&mut page, family, exemplars).expect("writing to a string does not fail");
    }
    page.push_str("# EOF\n");
    page
}

fn write_family(page: &mut String, family: &MetricFamily, exemplars: &Exemplars) -> fmt::Result {
    let whole = family.name();
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => match whole.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            None => (whole, "unknown"),
        },
        MetricType::GAUGE => (whole, "gauge"),
        MetricType::HISTOGRAM => (whole, "histogram"),
        MetricType::SUMMARY => (whole, "summary"),
        MetricType::UNTYPED => (whole, "unknown"),
    };
    writeln!(page, "# TYPE {name} {kind}")?;
    if let Some(unit) = UNITS.iter().find(|unit| name.rsplit('_').next() == Some(*unit)) {
        writeln!(page, "# UNIT {name} {unit}")?;
    }
    writeln!(page, "# HELP {name} {}", Escaped(family.help()))?;
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::COUNTER => sample(page, whole, "", metric, None, number::of_counter(metric))?,
            MetricType::GAUGE => sample(page, name, "", metric, None, number::of_gauge(metric))?,
            MetricType::HISTOGRAM => write_histogram(page, name, metric, exemplars.of(whole, metric))?,
            MetricType::SUMMARY => write_summary(page, name, metric)?,
            MetricType::UNTYPED => {}
        }
    }
    Ok(())
}

fn write_histogram(page: &mut String, name: &str, metric: &Metric, exemplars: &[Exemplar]) -> fmt::Result {
    let histogram = metric.get_histogram();
    let mut exemplars = exemplars.iter().peekable();
    let bounds =
        histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let finite = bounds.filter(|(bound, _)| bound.is_finite());
    for (bound, count) in finite.chain([(f64::INFINITY, histogram.get_sample_count())]) {
        let le = Number(bound).to_string();
        start(page, name, "_bucket", metric, Some(("le", &le)))?;
        write!(page, "{count}")?;
        if let Some(exemplar) = exemplars.next_if(|exemplar| exemplar.value <= bound) {
            write_exemplar(page, exemplar)?;
        }
        page.push('\n');
    }
    sample(page, name, "_sum", metric, None, histogram.get_sample_sum())?;
    sample(page, name, "_count", metric, None, histogram.get_sample_count() as f64)
}

fn write_exemplar(page: &mut String, exemplar: &Exemplar) -> fmt::Result {
    page.push_str(" # {trace_id=\"");
    exemplar.trace.iter().try_for_each(|byte| write!(page, "{byte:02x}"))?;
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    write!(page, "\"}} {} {}.{:03}", exemplar.value, at.as_secs(), at.subsec_millis())
}

fn write_summary(page: &mut String, name: &str, metric: &Metric) -> fmt::Result {
    let summary = metric.get_summary();
    for quantile in summary.get_quantile() {
        let at = Number(quantile.quantile()).to_string();
        sample(page, name, "", metric, Some(("quantile", &at)), quantile.value())?;
    }
    sample(page, name, "_sum", metric, None, summary.sample_sum())?;
    sample(page, name, "_count", metric, None, summary.sample_count() as f64)
}

fn sample(
    page: &mut String,
    name: &str,
    suffix: &str,
    metric: &Metric,
    more: Option<(&str, &str)>,
    value: f64,
) -> fmt::Result {
    start(page, name, suffix, metric, more)?;
    writeln!(page, "{}", Figure(value))
}

/// Writes a line up to its value.
fn start(
    page: &mut String,
    name: &str,
    suffix: &str,
    metric: &Metric,
    more: Option<(&str, &str)>,
) -> fmt::Result {
    write!(page, "{name}{suffix}")?;
    let own = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
    let mut before = '{';
    for (label, value) in own.chain(more) {
        write!(page, "{before}{label}=\"{}\"", Escaped(value))?;
        before = ',';
    }
    page.push_str(if before == ',' { "} " } else { " " });
    Ok(())
}

/// A text in which `\`, `"` and the end of a line are escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// A value.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            // NaN, too.
            value => fmt::Display::fmt(&value, f),
        }
    }
}

/// A bound or a quantile in the canonical notation: always a fraction or an exponent, and two digits of an exponent.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return Figure(self.0).fmt(f);
        }
        let written = format!("{:?}", self.0);
        let Some((mantissa, exponent)) = written.split_once('e') else { return f.write_str(&written) };
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        write!(f, "{mantissa}e{sign}{digits:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Family, Histogram, gauge, int_counter};
    use prometheus::Registry;

    #[test]
    fn every_kind_is_written_as_openmetrics_says() {
        let registry = Registry::new();
        let held = Family::register(&registry, "held_seconds_total", "Held.", ["a"], int_counter).unwrap();
        held.child(["x\"y\\z\n"]).inc_by(3);
        let depth = Family::register(&registry, "depth", "A \"depth\".\nYes.", [], gauge).unwrap();
        depth.child([]).set(f64::NAN);
        let wait = || Histogram::new(&[1e-7, 0.5, 5.0]);
        let wait = Family::register(&registry, "wait_seconds", "Wait.", ["a"], wait).unwrap();
        let child = wait.child(["b"]);
        [0.25, 4.0, 4.5, 9.0].into_iter().for_each(|value| child.observe(value));
        let at = UNIX_EPOCH + Duration::from_millis(1_520_879_607_789);
        child.exemplify(4.0, [0x11; 16], at);
        child.exemplify(4.5, [0xab; 16], at + Duration::from_secs(1));
        child.exemplify(9.0, [0x01; 16], at);
        let mut exemplars = Exemplars::default();
        exemplars.add(&wait);
        assert_eq!(
            openmetrics(&registry.gather(), &exemplars),
            "# TYPE streamgauge_depth gauge\n\
             # HELP streamgauge_depth A \\\"depth\\\".\\nYes.\n\
             streamgauge_depth NaN\n\
             # TYPE streamgauge_held_seconds counter\n\
             # UNIT streamgauge_held_seconds seconds\n\
             # HELP streamgauge_held_seconds Held.\n\
             streamgauge_held_seconds_total{a=\"x\\\"y\\\\z\\n\"} 3\n\
             # TYPE streamgauge_wait_seconds histogram\n\
             # UNIT streamgauge_wait_seconds seconds\n\
             # HELP streamgauge_wait_seconds Wait.\n\
             streamgauge_wait_seconds_bucket{a=\"b\",le=\"1e-07\"} 0\n\
             streamgauge_wait_seconds_bucket{a=\"b\",le=\"0.5\"} 1\n\
             streamgauge_wait_seconds_bucket{a=\"b\",le=\"5.0\"} 3 \
             # {trace_id=\"abababababababababababababababab\"} 4.5 1520879608.789\n\
             streamgauge_wait_seconds_bucket{a=\"b\",le=\"+Inf\"} 4 \
             # {trace_id=\"01010101010101010101010101010101\"} 9 1520879607.789\n\
             streamgauge_wait_seconds_sum{a=\"b\"} 17.75\n\
             streamgauge_wait_seconds_count{a=\"b\"} 4\n\
             # EOF\n"
        );
    }

    #[test]
    fn counter_without_total_keeps_its_name() {
        let registry = Registry::new();
        Family::register(&registry, "odd", "Odd.", [], int_counter).unwrap().child([]).inc();
        let page = openmetrics(&registry.gather(), &Exemplars::default());
        assert!(page.contains("# TYPE streamgauge_odd unknown\n"), "{page}");
        assert!(page.contains("\nstreamgauge_odd 1\n"), "{page}");
    }

    #[test]
    fn newest_exemplar_of_a_bucket_replaces_the_one_before() {
        let histogram = Histogram::finer(&[1.0, 1.5, 2.0], &[1.0, 2.0]);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        histogram.exemplify(1.8, [1; 16], at(1));
        histogram.exemplify(0.5, [2; 16], at(2));
        histogram.exemplify(1.2, [3; 16], at(3));
        histogram.exemplify(f64::NAN, [4; 16], at(4));
        let kept: Vec<_> = histogram.exemplars().iter().map(|one| (one.value, one.trace[0])).collect();
        assert_eq!(kept, [(0.5, 2), (1.2, 3)]);
    }
}
