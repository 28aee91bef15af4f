//! The number of a counter or a gauge, in either form of the model of `prometheus`.
//!
//! The crate has two forms of that model. Any crate of a program chooses for all of them, by the feature `protobuf`,
//! which is on by default: with it, the structs are generated ones with `value`; without it, plain ones with
//! `get_value`. No `cfg` of this crate sees that feature. So a trait has the method that the other form lacks: an
//! inherent method goes before one of a trait, and each trait's method calls the one that is inherent.
//! `tests/embed/build.sh` builds both forms.

use prometheus::proto::{Counter, Gauge, Metric};

/// The method of the plain structs.
#[allow(dead_code, reason = "the plain structs have their own")]
trait Plain {
    fn get_value(&self) -> f64;
}

/// The method of the generated structs.
#[allow(dead_code, reason = "the generated structs have their own")]
trait Generated {
    fn value(&self) -> f64;
}

impl Plain for Counter {
    fn get_value(&self) -> f64 {
        self.value()
    }
}

impl Generated for Counter {
    fn value(&self) -> f64 {
        self.get_value()
    }
}

impl Plain for Gauge {
    fn get_value(&self) -> f64 {
        self.value()
    }
}

impl Generated for Gauge {
    fn value(&self) -> f64 {
        self.get_value()
    }
}

/// 0 without a counter.
pub(super) fn of_counter(metric: &Metric) -> f64 {
    // With protobuf it comes in a field that may be empty, and lends what is in it.
    let counter: &Counter = metric.get_counter();
    counter.value()
}

/// 0 without a gauge.
pub(super) fn of_gauge(metric: &Metric) -> f64 {
    let gauge: &Gauge = metric.get_gauge();
    gauge.value()
}
