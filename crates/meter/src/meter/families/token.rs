//! The families of tokens and their rates.

use prometheus::{Counter, IntCounter, Registry};

use crate::metric::{Family, Histogram, buckets, counter, int_counter};

#[derive(Debug)]
pub(super) struct TokenFamilies {
    pub(super) total: Family<IntCounter, 2>,
    pub(super) prompt_evaluated: Family<IntCounter, 1>,
    pub(super) prompt_evaluated_seconds: Family<Counter, 1>,
    pub(super) prompt_cut: Family<IntCounter, 1>,
    pub(super) context_fill: Family<Histogram, 1>,
    pub(super) rate: Family<Histogram, 2>,
    pub(super) by_concurrency: Family<IntCounter, 3>,
}

impl TokenFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<TokenFamilies> {
        Ok(TokenFamilies {
            total: Family::register(
                registry,
                "tokens_total",
                "Tokens, as Ollama reports them.",
                ["model", "kind"],
                int_counter,
            )?,
            prompt_evaluated: Family::register(
                registry,
                "prompt_evaluated_tokens_total",
                "Prompt tokens that Ollama evaluated, without the cached part. Only requests that report the cached part.",
                ["model"],
                int_counter,
            )?,
            prompt_evaluated_seconds: Family::register(
                registry,
                "prompt_evaluated_seconds_total",
                "Time that Ollama needed for prompt_evaluated_tokens_total, seconds.",
                ["model"],
                counter,
            )?,
            prompt_cut: Family::register(
                registry,
                "prompt_truncation_suspected_total",
                "Requests whose prompt Ollama probably cut, because it did not fit into the context.",
                ["model"],
                int_counter,
            )?,
            context_fill: Family::register(
                registry,
                "context_fill_ratio",
                "Tokens of the prompt and the answer, divided by the context length, at the end of a request.",
                ["model"],
                || Histogram::new(buckets::FILL),
            )?,
            rate: Family::register(
                registry,
                "output_tokens_per_second",
                "Output tokens per second of a request: as Ollama reports them, and by the arrival of the records.",
                ["model", "by"],
                || Histogram::new(buckets::TOKEN_RATE),
            )?,
            by_concurrency: Family::register(
                registry,
                "concurrency_tokens_total",
                "Content records that arrived while this number of streams decoded.",
                ["upstream", "model", "streams"],
                int_counter,
            )?,
        })
    }

    /// Ends the series of a model.
    pub(super) fn forget(&self, model: &str) {
        self.total.retain(|[known, _]| known != model);
        self.prompt_evaluated.retain(|[known]| known != model);
        self.prompt_evaluated_seconds.retain(|[known]| known != model);
        self.prompt_cut.retain(|[known]| known != model);
        self.context_fill.retain(|[known]| known != model);
        self.rate.retain(|[known, _]| known != model);
        self.by_concurrency.retain(|[_, known, _]| known != model);
    }
}
