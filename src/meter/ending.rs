//! The one place where an ending is recorded.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Outcome,
    families::{StreamChildren, WorkChildren},
    measurement::{Ending, Measurement},
    model::Claim,
};
use crate::protocol::Usage;

impl Measurement {
    /// The outcome of a response whose body came to its end.
    pub(super) fn ended(&self) -> Outcome {
        let live = &self.live;
        if let Some(outcome) = self.decided.or_else(|| self.status.and_then(Outcome::of_status)) {
            outcome
        } else if !self.streamed {
            Outcome::Complete
        } else if live.ended_in_error() {
            Outcome::InBandError
        } else if live.is_terminal() || !live.was_read() || !live.route.has_terminal_record() {
            Outcome::Complete
        } else {
            Outcome::Truncated
        }
    }

    /// The outcome of a request that nobody waits for any more.
    pub(super) fn abandoned(&self) -> Outcome {
        if std::thread::panicking() {
            // A bug of ours, and no client that left.
            return Outcome::UpstreamError;
        }
        if self.meter.shared.cut.load(Relaxed) { Outcome::Refused } else { Outcome::ClientAbort }
    }

    /// Records the ending. End, error and drop all come here; the first one counts.
    pub(super) fn record(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let duration = self.live.accepted.elapsed();
        let succeeded = self.status.is_some_and(|status| status.is_success());
        if !succeeded {
            // The model may have been read after the upstream was chosen, or have been given a label meanwhile.
            self.settle(Claim::Accepted);
        }
        self.outcomes.ended(outcome);
        let live = &self.live;
        let usage = live.usage();
        let families = &self.meter.shared.families;
        let model = self.model_label().to_owned();
        let upstream = live.upstream();
        let upstream = upstream.as_deref().unwrap_or("none");
        let route = live.route;
        families.request_duration.child([route.label(), &model]).observe(duration.as_secs_f64());

        // An answer to a load or an unload is terminal, carries nothing, and owes no counts.
        let generated = live.content.load(Relaxed) > 0 || (self.streamed && !live.is_terminal());
        let counted = usage.is_some_and(|usage| usage.output_tokens.is_some());
        if succeeded && route.generates() && generated && !counted {
            families.usage_missing.child([route.label()]).inc();
        }
        // Whatever else waits for the model, this request does so no more.
        if let (Some(waiter), Some(load)) = (self.waiter.take(), usage.and_then(|usage| usage.load)) {
            let sent = live.accepted + live.sent.get().unwrap_or_default();
            let answered = live.accepted + live.first_record.get().unwrap_or(duration);
            waiter.told(load, sent, answered);
        }
        if let (Some(children), Some(usage)) = (&self.children, &usage) {
            record_usage(children, usage);
        }
        // What Ollama's cloud does is not its upstream's work, and its records come several at once.
        if let Some(work) = self.children.as_ref().and_then(|children| children.work.as_ref()) {
            if let Some(usage) = &usage {
                self.record_phases(work, usage);
            }
            self.record_rate(work);
        }
        self.listed = None;
        let density = self.place.as_ref().map_or(&self.meter.shared.density, |place| &place.density);
        let prompt_bytes = live.prompt_bytes.load(Relaxed);
        if let Some(tokens) = usage.and_then(|usage| usage.prompt_tokens) {
            density.told(prompt_bytes, tokens);
        }
        let context = self.place.as_ref().and_then(|place| place.context());
        let estimate = density.tokens(prompt_bytes).min(context.unwrap_or(u64::MAX));
        if let Some(hook) = self.on_end.take() {
            hook(&Ending {
                id: live.id,
                route,
                model,
                upstream: upstream.to_owned(),
                outcome,
                status: self.status,
                duration,
                first_token: live.first_content.get().filter(|_| self.streamed),
                content_records: live.content.load(Relaxed),
                usage: usage.unwrap_or_default(),
                prompt_estimate: live.sent.get().map_or(0, |_| estimate),
                context,
            });
        }
    }

    /// `phase_seconds`: where the time of a generation went. What Ollama did not tell is not observed.
    fn record_phases(&self, work: &WorkChildren, usage: &Usage) {
        let [queue, load, prompt_eval, eval, decode, unaccounted] = &work.phases;
        for (phase, told) in [(load, usage.load), (prompt_eval, usage.prompt_eval), (eval, usage.eval)] {
            if let Some(told) = told {
                phase.observe(told.as_secs_f64());
            }
        }
        let Some(total) = usage.total else { return };
        let before = usage.load.unwrap_or_default() + usage.prompt_eval.unwrap_or_default();
        if !self.streamed {
            let rest = total.saturating_sub(before + usage.eval.unwrap_or_default());
            unaccounted.observe(rest.as_secs_f64());
            return;
        }
        let live = &self.live;
        if let (Some(sent), Some(first)) = (live.sent.get(), live.first_record.get()) {
            queue.observe(first.saturating_sub(sent + before).as_secs_f64());
        }
        if let Some(decoding) = self.decoding_time() {
            decode.observe(decoding.as_secs_f64());
            if let Some(eval) = usage.eval {
                unaccounted.observe(decoding.saturating_sub(eval).as_secs_f64());
            }
        }
    }

    /// First record to last; `None` where the client held the stream so that their moments are not Ollama's.
    fn decoding_time(&self) -> Option<Duration> {
        let live = &self.live;
        let (first, last) = live.first_record.get().zip(live.last_record.get())?;
        live.is_on_time().then(|| last.saturating_sub(first))
    }

    /// `output_tokens_per_second{by="stream"}`: (content records − 1) / (last − first), as far as they came on time.
    fn record_rate(&self, work: &WorkChildren) {
        let live = &self.live;
        let (content, last) = live.content_on_time();
        let (Some(first), Some(last)) = (live.first_content.get(), last) else { return };
        let span = last.saturating_sub(first);
        if self.streamed && content >= 2 && !span.is_zero() {
            work.rate_stream.observe((content - 1) as f64 / span.as_secs_f64());
        }
    }
}

fn record_usage(children: &StreamChildren, usage: &Usage) {
    let told = [usage.prompt_tokens, usage.prompt_cached_tokens, usage.output_tokens];
    for (tokens, told) in children.tokens.iter().zip(told) {
        tokens.inc_by(told.unwrap_or(0));
    }
    if let (Some(output), Some(eval)) = (usage.output_tokens, usage.eval)
        && !eval.is_zero()
    {
        children.rate_ollama.observe(output as f64 / eval.as_secs_f64());
    }
}
