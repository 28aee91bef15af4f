//! The families of chunks and of the time between them.

use std::sync::Arc;

use prometheus::{Counter, IntCounter, Registry};

use crate::metric::{Buckets, Family, Histogram, buckets, counter, int_counter};

/// The value of the label `at` of `chunk_gap_seconds` for gaps at the arrival from the upstream.
pub(super) const AT_UPSTREAM: &str = "upstream";

#[derive(Debug)]
pub(in crate::meter) struct ChunkFamilies {
    pub(in crate::meter) first_token: Family<Histogram, 2>,
    pub(in crate::meter) gap: Family<Histogram, 2>,
    pub(super) gaps_held: Family<IntCounter, 1>,
    pub(super) origin_invalid: Family<IntCounter, 1>,
    pub(super) bytes: Family<Histogram, 1>,
    pub(super) backpressure: Family<Counter, 1>,
    pub(in crate::meter) self_overhead: Arc<Histogram>,
}

impl ChunkFamilies {
    pub(super) fn register(registry: &Registry, natives: bool) -> prometheus::Result<ChunkFamilies> {
        let self_overhead = Family::register(
            registry,
            "self_overhead_seconds",
            "Time from the arrival of a chunk to the delivery of its frame, without delay by shaping, seconds.",
            [],
            || Histogram::new(buckets::OVERHEAD),
        )?;
        Ok(ChunkFamilies {
            first_token: Family::register(
                registry,
                "time_to_first_token_seconds",
                "Time from accept to the first content record of a stream, seconds.",
                ["route", "model"],
                move || Histogram::maybe_native(natives, &buckets::FIRST_TOKEN_NATIVE),
            )?,
            gap: Family::register(
                registry,
                "chunk_gap_seconds",
                "Time between two successive chunks with content, at three places, seconds.",
                ["model", "at"],
                move || {
                    if natives {
                        Histogram::native_of(&buckets::GAP_NATIVE)
                    } else {
                        Histogram::finer(buckets::GAP_FINE, buckets::GAP)
                    }
                },
            )?,
            gaps_held: Family::register(
                registry,
                "gaps_held_total",
                "Chunks with content whose gap is left out, because the client held the stream.",
                ["model"],
                int_counter,
            )?,
            origin_invalid: Family::register(
                registry,
                "origin_gaps_invalid_total",
                "Records whose created_at is invalid, because Ollama's clock was set while the stream ran.",
                ["upstream"],
                int_counter,
            )?,
            bytes: Family::register(registry, "chunk_bytes", "Size of a chunk, bytes.", ["model"], || {
                Histogram::new(buckets::CHUNK_BYTES)
            })?,
            backpressure: Family::register(
                registry,
                "client_backpressure_seconds_total",
                "Time in which clients did not read data that was there, seconds.",
                ["model"],
                counter,
            )?,
            self_overhead: self_overhead.child([]),
        })
    }

    /// Creates the children of closed lists, which start at zero.
    pub(super) fn open(&self, upstreams: &[&str]) {
        for upstream in upstreams {
            let _ = self.origin_invalid.child([upstream]);
        }
    }

    /// Ends the series of a model.
    pub(super) fn forget(&self, model: &str) {
        self.first_token.retain(|[_, known]| known != model);
        self.gap.retain(|[known, _]| known != model);
        self.gaps_held.retain(|[known]| known != model);
        self.bytes.retain(|[known]| known != model);
        self.backpressure.retain(|[known]| known != model);
    }

    /// Returns the gaps between chunks at their arrival from the upstream, summed over all models. Its buckets are
    /// finer than those of `chunk_gap_seconds`.
    pub(in crate::meter) fn gaps(&self) -> Buckets {
        let upstream = |[_, at]: &[String; 2]| at == AT_UPSTREAM;
        self.gap.fold(Buckets::default(), upstream, |sum, child| sum.plus(child.buckets()))
    }
}
