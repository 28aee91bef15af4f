//! Reads the number of a counter or a gauge in both forms of the data model of `prometheus`.
//!
//! The crate has two forms of that model. The feature `protobuf`, which is on by default, decides the form, and any
//! crate of a program can turn it on for all. With it, the structs are generated and have `value`. Without it, they
//! are plain and have `get_value`. No `cfg` of this crate sees that feature. Each of the two traits below therefore
//! has the method that the other form lacks. An inherent method takes precedence over a trait's method, and each
//! trait's method calls the inherent one. `tests/embed/build.sh` builds both forms.

use prometheus::proto::{Counter, Gauge, Metric};

/// The method that the plain structs have.
#[allow(dead_code, reason = "the plain structs have their own")]
trait Plain {
    fn get_value(&self) -> f64;
}

/// The method that the generated structs have.
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

/// Returns 0 if there is no counter.
pub(in crate::metric) fn of_counter(metric: &Metric) -> f64 {
    // With protobuf, the counter is in a field that may be empty, and this call borrows its value.
    let counter: &Counter = metric.get_counter();
    counter.value()
}

/// Returns 0 if there is no gauge.
pub(in crate::metric) fn of_gauge(metric: &Metric) -> f64 {
    let gauge: &Gauge = metric.get_gauge();
    gauge.value()
}
