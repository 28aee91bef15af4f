//! The only place that records the end of a request.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use super::{
    Ending, Outcome,
    families::{PhaseHistograms, StreamChildren, TokenCounters, WorkChildren},
    finishes::finish_reason,
    measurement::Measurement,
    model::Claim,
    phases::{Arrivals, Phases},
    prompt::Density,
};
use crate::{metric::Histogram, protocol::Usage};

impl Measurement {
    /// Returns the outcome of a response whose body has ended.
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

    /// Returns the outcome of a request that is dropped before its end.
    pub(super) fn abandoned(&self) -> Outcome {
        if std::thread::panicking() {
            // This is a bug of the sidecar. The client did not leave.
            return Outcome::UpstreamError;
        }
        if self.shared.cut.load(Relaxed) { Outcome::Refused } else { Outcome::ClientAbort }
    }

    /// Records the end. End, error and drop all call this method, and the first call counts.
    pub(super) fn record(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let duration = self.live.accepted.elapsed();
        let succeeded = self.status.is_some_and(|status| status.is_success());
        if !succeeded {
            // The model may have been read, or have got a label, after the upstream was chosen.
            self.settle(Claim::Accepted);
        }
        self.outcomes.ended(outcome);
        let live = &self.live;
        let told = live.usage();
        let families = &self.shared.families;
        let route = live.route;
        if outcome == Outcome::ClientAbort && route.generates() && live.content.load(Relaxed) == 0 {
            let upstream = live.upstream();
            let labels = [upstream.as_deref().unwrap_or("none"), self.model_label()];
            families.requests.left_early.child(labels).inc();
        }
        let durations = families.requests.duration.child([route.label(), self.model_label()]);
        durations.observe(duration.as_secs_f64());
        self.exemplify(&durations, duration);

        // The response to a load or an unload is terminal, has no content, and needs no counts.
        let generated = live.content.load(Relaxed) > 0 || (self.streamed && !live.is_terminal());
        let counted = told.is_some_and(|told| told.output_tokens.is_some());
        if succeeded && route.generates() && generated && !counted {
            families.requests.usage_missing.child([route.label()]).inc();
        }
        // Other requests may still wait for the model, but this one does not.
        let mut model_load = None;
        if let (Some(waiter), Some(load)) = (self.waiter.take(), told.and_then(|told| told.load)) {
            let sent = live.accepted + live.sent.get().unwrap_or_default();
            let answered = live.accepted + live.first_record.get().unwrap_or(duration);
            model_load = waiter.told(load, sent, answered);
        }
        let usage = told.map(|told| self.at_least_what_came(told));
        if let (Some(children), Some(told), Some(usage)) = (&self.children, &told, &usage) {
            record_tokens(children, usage);
            record_told_rates(children, told);
        }
        // The work of Ollama's cloud is not that of the upstream, and several of its records come at once.
        if let Some(work) = self.children.as_ref().and_then(|children| children.work.as_ref()) {
            if let Some(told) = &told {
                self.record_phases(work, told);
            }
            self.record_rate(work);
        }
        // The request is over, even if its body is kept.
        (self.listed, self.running, self.in_flight) = (None, None, None);
        let context = self.context();
        let is_prompt_cut = self.judge_prompt(usage.as_ref(), context);
        let finish = finish_reason(self.live.finish(), outcome, &usage.unwrap_or_default(), context);
        if let Some(finishes) = self.children.as_ref().and_then(|children| children.finishes.as_ref()) {
            finishes.ended(finish);
        }
        let mut ending = self.ending(outcome, duration, usage.unwrap_or_default());
        (ending.finish, ending.load, ending.is_prompt_cut) = (finish, model_load, is_prompt_cut);
        ending.is_slow = self.shared.slow.are_exceeded(&ending);
        self.shared.noted.note(&ending);
        self.shared.noted_loads.note(&ending);
        for hook in self.on_end.drain(..) {
            hook(&ending);
        }
    }

    /// Makes a sampled request the exemplar of its duration, of its time to first token, and of its longest gaps.
    fn exemplify(&self, durations: &Histogram, duration: Duration) {
        let Some(parent) = self.trace.filter(|parent| parent.is_sampled) else { return };
        let (trace, at) = (parent.trace.bytes(), SystemTime::now());
        durations.exemplify(duration.as_secs_f64(), trace, at);
        let Some(children) = self.children.as_ref().filter(|_| self.streamed) else { return };
        if let Some(first) = self.live.first_content.get() {
            children.first_token.exemplify(first.as_secs_f64(), trace, at);
        }
        let upstream = f64::from_bits(self.live.longest_gap.load(Relaxed));
        for (gaps, longest) in
            [(&children.gap_upstream, upstream), (&children.gap_client, self.longest_client_gap)]
        {
            if longest > 0.0 {
                gaps.exemplify(longest, trace, at);
            }
        }
    }

    /// Returns the bytes per token of the model, or of the models without a label of their own.
    fn density(&self) -> &Density {
        self.place.as_ref().map_or(&self.shared.density, |place| &place.density)
    }

    /// Compares the prompt with the context, and learns the bytes per token of the model. Returns whether Ollama
    /// probably cut the prompt.
    fn judge_prompt(&self, usage: Option<&Usage>, context: Option<u64>) -> bool {
        let Some(tokens) = usage.and_then(|usage| usage.prompt_tokens) else { return false };
        let bytes = self.live.prompt_bytes.load(Relaxed);
        let is_cut = context.is_some_and(|context| self.truncation().is_suspected(bytes, tokens, context));
        if !is_cut {
            self.density().told(bytes, tokens);
        }
        if let (Some(children), Some(context)) = (&self.children, context) {
            if is_cut {
                children.prompt_cut.inc();
            }
            let output = usage.and_then(|usage| usage.output_tokens).unwrap_or(0);
            children.context_fill.observe((tokens + output) as f64 / context as f64);
        }
        is_cut
    }

    /// Describes the end, for hooks and the list of noted requests.
    fn ending(&mut self, outcome: Outcome, duration: Duration, usage: Usage) -> Ending {
        let steps = self.steps.take().unwrap_or_default();
        let live = &self.live;
        let context = self.context();
        let estimate =
            self.density().tokens(live.prompt_bytes.load(Relaxed)).min(context.unwrap_or(u64::MAX));
        Ending {
            id: live.id,
            caller: live.caller.get().cloned(),
            route: live.route,
            model: self.model_label().to_owned(),
            upstream: live.upstream().as_deref().unwrap_or("none").to_owned(),
            outcome,
            status: live.early.get().copied().or(self.status),
            finish: None,
            load: None,
            prompt_bytes: live.prompt_bytes.load(Relaxed),
            is_prompt_cut: false,
            duration,
            first_token: live.first_content.get().filter(|_| self.streamed),
            queue_wait: live.queue_wait(),
            was_sent: live.sent.get().is_some(),
            hidden_queue: self
                .streamed
                .then(|| Phases::of_stream(&live.usage().unwrap_or_default(), self.arrivals()).queue)
                .flatten(),
            record_interval: self.record_interval(),
            gap_p50: live.gap(0.5),
            gap_p99: live.gap(0.99),
            client_wait: live.client_wait(),
            is_slow: false,
            content_records: live.content.load(Relaxed),
            usage,
            prompt_estimate: live.sent.get().map_or(0, |_| estimate),
            context,
            explanation: self.explanation.clone(),
            is_streamed: self.streamed,
            timeline: live.timeline(),
            steps,
            trace: self.trace,
        }
    }

    /// Returns the counts to charge. If a request combines `think` with `format`, Ollama 0.33 reports the tokens of
    /// the last run only, while the records of both runs arrived.
    fn at_least_what_came(&self, told: Usage) -> Usage {
        let came = self.live.content.load(Relaxed);
        let is_understated = self.streamed && told.output_tokens.is_some_and(|output| output < came);
        if !is_understated {
            return told;
        }
        self.shared.families.requests.usage_understated.child([self.live.route.label()]).inc();
        Usage { output_tokens: Some(came), ..told }
    }

    /// Fills `phase_seconds`: how the time of a generation is divided. A value that Ollama did not report is not
    /// observed.
    fn record_phases(&self, work: &WorkChildren, usage: &Usage) {
        let PhaseHistograms { queue, load, prompt_eval, eval, decode, unaccounted } = &work.phases;
        for (phase, told) in [(load, usage.load), (prompt_eval, usage.prompt_eval), (eval, usage.eval)] {
            if let Some(told) = told {
                phase.observe(told.as_secs_f64());
            }
        }
        let told =
            if self.streamed { Phases::of_stream(usage, self.arrivals()) } else { Phases::of_whole(usage) };
        for (phase, told) in [(queue, told.queue), (decode, told.decode), (unaccounted, told.unaccounted)] {
            if let Some(told) = told {
                phase.observe(told.as_secs_f64());
            }
        }
    }

    fn arrivals(&self) -> Arrivals {
        let live = &self.live;
        Arrivals {
            sent: live.sent.get(),
            first: live.first_record.get(),
            last: live.last_record.get().filter(|_| live.is_on_time()),
        }
    }

    /// Fills `output_tokens_per_second{by="stream"}`.
    fn record_rate(&self, work: &WorkChildren) {
        if let Some(interval) = self.record_interval() {
            work.rate_stream.observe(interval.as_secs_f64().recip());
        }
    }

    /// Returns (last − first) / (content records − 1), for the records that came on time.
    fn record_interval(&self) -> Option<Duration> {
        let live = &self.live;
        let (content, last) = live.content_on_time();
        let span = last?.saturating_sub(live.first_content.get()?);
        let gaps = u32::try_from(content.checked_sub(1)?).ok().filter(|gaps| *gaps > 0)?;
        (self.streamed && !span.is_zero()).then(|| span / gaps)
    }
}

fn record_tokens(children: &StreamChildren, usage: &Usage) {
    let TokenCounters { prompt, prompt_cached, output } = &children.tokens;
    prompt.inc_by(usage.prompt_tokens.unwrap_or(0));
    prompt_cached.inc_by(usage.prompt_cached_tokens.unwrap_or(0));
    output.inc_by(usage.output_tokens.unwrap_or(0));
}

/// Fills the rates from Ollama's own counts and durations.
fn record_told_rates(children: &StreamChildren, told: &Usage) {
    if told.has_invalid_duration {
        return;
    }
    // `eval_duration` is the time from the first token to the last, so it has one gap less than tokens.
    if let (Some(output @ 2..), Some(eval)) = (told.output_tokens, told.eval)
        && !eval.is_zero()
    {
        children.rate_ollama.observe((output - 1) as f64 / eval.as_secs_f64());
    }
    // The duration is that of the uncached part. Without the number of cached tokens, a rate would be wrong.
    if let (Some(prompt), Some(cached), Some(prompt_eval)) =
        (told.prompt_tokens, told.prompt_cached_tokens, told.prompt_eval)
    {
        children.prompt_evaluated.inc_by(prompt.saturating_sub(cached));
        children.prompt_evaluated_seconds.inc_by(prompt_eval.as_secs_f64());
    }
}
