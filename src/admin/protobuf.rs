//! The format of `/metrics` for native histograms: the messages of Prometheus's `metrics.proto`, each after its length.

use std::time::UNIX_EPOCH;

use prometheus::proto;
use prost::Message;

use crate::metric::{Exemplar, Exemplars, NATIVE_SCHEMA, NativeHistogram, NativeHistograms, number_of};

/// The value of `Content-Type`.
pub(super) const PROTOBUF_FORMAT: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The most empty buckets between two others for which no new span begins, as in Prometheus's own clients.
const GAP: i32 = 2;

/// Writes what [`prometheus::Registry::gather`] returned. A histogram with native buckets has its classic ones too.
pub(super) fn protobuf(
    families: &[proto::MetricFamily],
    natives: &NativeHistograms,
    exemplars: &Exemplars,
) -> Vec<u8> {
    let mut page = Vec::new();
    for family in families {
        let metrics = family.get_metric().iter();
        let message = MetricFamily {
            name: family.name().to_owned(),
            help: family.help().to_owned(),
            kind: kind(family.get_field_type()).into(),
            metric: metrics.map(|metric| Metric::of(family, metric, natives, exemplars)).collect(),
        };
        message.encode_length_delimited(&mut page).expect("a vector grows");
    }
    page
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(enumeration = "MetricType", tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Summary = 2,
    Untyped = 3,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A `Gauge` or a `Counter`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    /// The count of each bucket, less that of the one before.
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<ExemplarMessage>,
}

/// Buckets in a row. The offset of the first span is its first index, and that of another one is the number of empty
/// buckets before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const fn kind(kind: proto::MetricType) -> MetricType {
    match kind {
        proto::MetricType::COUNTER => MetricType::Counter,
        proto::MetricType::GAUGE => MetricType::Gauge,
        proto::MetricType::SUMMARY => MetricType::Summary,
        proto::MetricType::UNTYPED => MetricType::Untyped,
        proto::MetricType::HISTOGRAM => MetricType::Histogram,
    }
}

impl Metric {
    fn of(
        family: &proto::MetricFamily,
        metric: &proto::Metric,
        natives: &NativeHistograms,
        exemplars: &Exemplars,
    ) -> Metric {
        let pairs = metric.get_label().iter();
        let label = pairs.map(|pair| LabelPair::new(pair.name(), pair.value())).collect();
        let mut message = Metric { label, ..Metric::default() };
        match family.get_field_type() {
            proto::MetricType::COUNTER => {
                message.counter = Some(Number { value: number_of(metric) });
            }
            proto::MetricType::GAUGE => message.gauge = Some(Number { value: number_of(metric) }),
            proto::MetricType::HISTOGRAM => {
                let exemplars = exemplars.of(family.name(), metric);
                message.histogram = Some(match natives.of(family.name(), metric) {
                    Some(native) => Histogram::native(native, exemplars),
                    None => Histogram::classic(metric.get_histogram(), exemplars),
                });
            }
            proto::MetricType::SUMMARY => message.summary = Some(Summary::of(metric.get_summary())),
            proto::MetricType::UNTYPED => {}
        }
        message
    }
}

impl LabelPair {
    fn new(name: &str, value: &str) -> LabelPair {
        LabelPair { name: name.to_owned(), value: value.to_owned() }
    }
}

impl Summary {
    fn of(summary: &proto::Summary) -> Summary {
        let quantiles = summary.get_quantile().iter();
        let quantile = |one: &proto::Quantile| Quantile { quantile: one.quantile(), value: one.value() };
        Summary {
            sample_count: summary.sample_count(),
            sample_sum: summary.sample_sum(),
            quantile: quantiles.map(quantile).collect(),
        }
    }
}

impl Histogram {
    fn classic(histogram: &proto::Histogram, exemplars: &[Exemplar]) -> Histogram {
        let buckets = histogram.get_bucket().iter();
        let counts = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        Histogram {
            sample_count: histogram.get_sample_count(),
            sample_sum: histogram.get_sample_sum(),
            bucket: buckets_of(counts, histogram.get_sample_count(), exemplars),
            ..Histogram::default()
        }
    }

    fn native(native: &NativeHistogram, exemplars: &[Exemplar]) -> Histogram {
        let mut histogram = Histogram {
            sample_count: native.count,
            sample_sum: native.sum,
            bucket: buckets_of(native.classic.iter().copied(), native.count, exemplars),
            schema: NATIVE_SCHEMA,
            zero_threshold: native.zero_threshold,
            zero_count: native.zero_count,
            ..Histogram::default()
        };
        // The index after the last bucket, and the count of that bucket.
        let (mut next, mut before) = (0, 0);
        for (index, count) in &native.buckets {
            let empty = index - next;
            match histogram.positive_span.last_mut() {
                Some(span) if empty <= GAP => {
                    for _ in 0..empty {
                        histogram.positive_delta.push(-std::mem::take(&mut before));
                    }
                    span.length += u32::try_from(empty).unwrap_or(0) + 1;
                }
                _ => histogram.positive_span.push(BucketSpan { offset: empty, length: 1 }),
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            histogram.positive_delta.push(count - before);
            (next, before) = (index + 1, count);
        }
        histogram
    }
}

/// The classic buckets. The one of +Inf is written only for its exemplar.
fn buckets_of(counts: impl Iterator<Item = (f64, u64)>, all: u64, exemplars: &[Exemplar]) -> Vec<Bucket> {
    let mut exemplars = exemplars.iter().peekable();
    let mut bucket = |(upper_bound, cumulative_count): (f64, u64)| {
        let exemplar = exemplars.next_if(|exemplar| exemplar.value <= upper_bound).map(ExemplarMessage::of);
        Bucket { cumulative_count, upper_bound, exemplar }
    };
    let mut buckets: Vec<_> = counts.filter(|(bound, _)| bound.is_finite()).map(&mut bucket).collect();
    buckets.extend(Some(bucket((f64::INFINITY, all))).filter(|bucket| bucket.exemplar.is_some()));
    buckets
}

impl ExemplarMessage {
    fn of(exemplar: &Exemplar) -> ExemplarMessage {
        use std::fmt::Write;

        let mut trace = String::new();
        exemplar
            .trace
            .iter()
            .try_for_each(|byte| write!(trace, "{byte:02x}"))
            .expect("writing to a String does not fail");
        let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        ExemplarMessage {
            label: vec![LabelPair::new("trace_id", &trace)],
            value: exemplar.value,
            timestamp: Some(Timestamp {
                seconds: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(at.subsec_nanos()).unwrap_or(0),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use prometheus::Registry;

    use super::*;
    use crate::metric::{self, Family, buckets, gauge, int_counter};

    fn read(mut page: &[u8]) -> Vec<MetricFamily> {
        let mut all = Vec::new();
        while !page.is_empty() {
            all.push(MetricFamily::decode_length_delimited(&mut page).unwrap());
        }
        all
    }

    #[test]
    fn every_kind_is_written_with_its_labels() {
        let registry = Registry::new();
        Family::register(&registry, "a_total", "A.", ["x"], int_counter).unwrap().child(["1"]).inc_by(3);
        Family::register(&registry, "b", "B.", [], gauge).unwrap().child([]).set(0.0);
        let make = || metric::Histogram::new(&[1.0, 2.0]);
        let child = Family::register(&registry, "c", "C.", [], make).unwrap().child([]);
        [0.5, 1.5, 9.0].into_iter().for_each(|value| child.observe(value));
        let page = protobuf(&registry.gather(), &NativeHistograms::default(), &Exemplars::default());
        let [a, b, c] = <[_; 3]>::try_from(read(&page)).unwrap();
        assert_eq!(
            (a.name.as_str(), a.help.as_str(), a.kind()),
            ("streamgauge_a_total", "A.", MetricType::Counter)
        );
        assert_eq!(a.metric[0].label, [LabelPair::new("x", "1")]);
        assert_eq!(a.metric[0].counter.unwrap().value, 3.0);
        assert_eq!((b.kind(), b.metric[0].gauge.unwrap().value), (MetricType::Gauge, 0.0));
        let histogram = c.metric[0].histogram.clone().unwrap();
        let counts: Vec<_> =
            histogram.bucket.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)).collect();
        assert_eq!(
            (counts, histogram.sample_count, histogram.sample_sum),
            (vec![(1.0, 1), (2.0, 2)], 3, 11.0)
        );
        assert!(
            histogram.positive_span.is_empty() && histogram.zero_threshold == 0.0,
            "it has no native part"
        );
    }

    #[test]
    fn native_buckets_are_spans_and_differences() {
        let registry = Registry::new();
        let make = || metric::Histogram::native_of(&buckets::GAP_NATIVE);
        let family = Family::register(&registry, "gap", "G.", ["at"], make).unwrap();
        let child = family.child(["here"]);
        // The buckets 0, 1, 4 and 24, each with this many values, one below the lowest and one above the highest bound.
        for (value, count) in [(1.0, 3), (1.05, 5), (1.4, 1), (8.0, 2), (1e-9, 1), (100.0, 1)] {
            (0..count).for_each(|_| child.observe(value));
        }
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        child.exemplify(100.0, [0xab; 16], at);
        let (mut natives, mut exemplars) = (NativeHistograms::default(), Exemplars::default());
        natives.add(&family);
        exemplars.add(&family);
        let page = read(&protobuf(&registry.gather(), &natives, &exemplars));
        let histogram = page[0].metric[0].histogram.clone().unwrap();
        assert_eq!((histogram.schema, histogram.zero_threshold, histogram.zero_count), (3, 1.0 / 2048.0, 1));
        let spans: Vec<_> = histogram.positive_span.iter().map(|span| (span.offset, span.length)).collect();
        assert_eq!(spans, [(0, 5), (19, 1), (8, 1)]);
        assert_eq!(histogram.positive_delta, [3, 2, -5, 0, 1, 1, -1]);
        assert_eq!(histogram.sample_count, 13);
        let classic = &histogram.bucket;
        assert_eq!(
            classic.len(),
            buckets::GAP.len() + 1,
            "those of the text format, and +Inf for the exemplar"
        );
        let last = classic.last().unwrap();
        assert_eq!((last.upper_bound, last.cumulative_count), (f64::INFINITY, 13));
        let exemplar = last.exemplar.clone().unwrap();
        assert_eq!(exemplar.label, [LabelPair::new("trace_id", &"ab".repeat(16))]);
        assert_eq!(exemplar.timestamp, Some(Timestamp { seconds: 1, nanos: 500_000_000 }));
    }

    #[test]
    fn histogram_without_values_is_native_too() {
        let registry = Registry::new();
        let make = || metric::Histogram::native_of(&buckets::PHASE_NATIVE);
        let family = Family::register(&registry, "phase", "P.", [], make).unwrap();
        let _ = family.child([]);
        let mut natives = NativeHistograms::default();
        natives.add(&family);
        let page = read(&protobuf(&registry.gather(), &natives, &Exemplars::default()));
        let histogram = page[0].metric[0].histogram.clone().unwrap();
        // Prometheus recognises a native histogram by its spans or by a zero bucket.
        assert!(histogram.zero_threshold > 0.0 && histogram.positive_span.is_empty());
    }
}
