//! What is made of a finished request: a line in the log, and what is charged for it. Never its content.

use std::time::Duration;

use crate::{admission::Charge, meter::Ending};

/// At debug, which `-v` shows.
pub(super) fn log(ending: &Ending) {
    tracing::debug!(
        target: "streamgauge::request",
        id = ending.id,
        route = ending.route.label(),
        model = ending.model,
        upstream = ending.upstream,
        outcome = ending.outcome.label(),
        status = ending.status.map(|status| status.as_u16()),
        duration_s = ending.duration.as_secs_f64(),
        ttft_s = ending.first_token.as_ref().map(Duration::as_secs_f64),
        prompt_tokens = ending.usage.prompt_tokens,
        output_tokens = ending.usage.output_tokens,
        "finished",
    );
}

/// What its caller is charged.
pub(super) fn charge(ending: &Ending) -> Charge<'_> {
    let Ending { outcome, usage, content_records, .. } = ending;
    Charge { outcome: outcome.label(), usage: *usage, content_records: *content_records }
}
