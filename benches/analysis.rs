//! What it costs to analyse a million chunks with the default settings: at most a second is promised.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use streamgauge::analysis::{Settings, analyse};

#[path = "../tests/analysis/million.rs"]
mod million;

fn analysis(criterion: &mut Criterion) {
    let recording = million::recording();
    let mut group = criterion.benchmark_group("analysis");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function("a million chunks", |bencher| {
        bencher.iter(|| analyse(black_box(&recording), &Settings::default()));
    });
    group.finish();
}

criterion_group!(benches, analysis);
criterion_main!(benches);
