//! The types of traces for a program without them. They have no values.

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::meter::{Ending, Live, TraceParent};

/// Settings of traces. They need the feature `traces`.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {}

/// The exporter of traces cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum NoExporter {}

/// The traces of a sidecar.
#[derive(Debug)]
pub enum Traces {}

/// A request whose span is exported.
#[derive(Debug)]
pub enum Sampled {}

impl Traces {
    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn register(_: &prometheus::Registry, config: &Config) -> Result<Arc<Traces>, NoExporter> {
        match *config {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn sample(&self, _: Option<TraceParent>, _: &HeaderMap, _: &Method) -> Option<Sampled> {
        match *self {}
    }

    /// Cannot be called.
    pub fn finish(&self, _: Sampled, _: &Live, _: &Ending) {
        match *self {}
    }

    /// Cannot be called.
    pub async fn run(self: Arc<Self>) {
        match *self {}
    }

    /// Cannot be called.
    pub async fn flush(&self) {
        match *self {}
    }
}

impl Sampled {
    /// Cannot be called.
    #[must_use]
    pub fn root(&self) -> Option<TraceParent> {
        match *self {}
    }
}
