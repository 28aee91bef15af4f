//! Whether a request was slow, and why, in words.

use std::{fmt::Write, time::Duration};

use super::{Ending, Outcome};

/// The limits above which a request that makes the GPU work is slow. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLimits {
    /// The time from accept to the first content record. A client that leaves before it has waited that long.
    pub first_token: Option<Duration>,
    /// The time from accept to the end.
    pub duration: Option<Duration>,
}

impl Default for SlowLimits {
    fn default() -> SlowLimits {
        SlowLimits { first_token: Some(Duration::from_secs(10)), duration: Some(Duration::from_secs(60)) }
    }
}

/// A part of a time is named if it is at least this share of it.
const LEAST_SHARE: f64 = 0.05;

impl SlowLimits {
    /// Whether the request was slow.
    pub(super) fn are_exceeded(self, ending: &Ending) -> bool {
        let exceeds = |time: Option<Duration>, limit: Option<Duration>| {
            time.zip(limit).is_some_and(|(time, limit)| time > limit)
        };
        ending.route.takes_slot()
            && (exceeds(ending.wait_for_first(), self.first_token)
                || exceeds(Some(ending.duration), self.duration))
    }
}

impl Ending {
    /// Returns the time that the client waited for the first token, whether it came or not.
    fn wait_for_first(&self) -> Option<Duration> {
        let left = self.outcome == Outcome::ClientAbort && self.content_records == 0;
        self.first_token.or_else(|| left.then_some(self.duration))
    }

    /// Describes where the time of a slow request went, as far as it is known.
    pub(super) fn slowness(&self) -> String {
        let Some(first) =
            self.wait_for_first().filter(|first| first.as_secs_f64() * 2.0 > self.duration.as_secs_f64())
        else {
            return self.slow_response();
        };
        let mut text = match self.first_token {
            Some(first) => format!("the first token came after {}", seconds(first)),
            None if self.was_sent => {
                format!("the client disconnected after {} without a token", seconds(first))
            }
            None => {
                format!("the client disconnected after {}, before Ollama had the request", seconds(first))
            }
        };
        let usage = Some(&self.usage).filter(|usage| !usage.has_invalid_duration);
        let parts = [
            (self.queue_wait, "in the queue of the sidecar"),
            (self.hidden_queue, "in the hidden queue of Ollama"),
            (usage.and_then(|usage| usage.load), "to load the model"),
            (usage.and_then(|usage| usage.prompt_eval), "to evaluate the prompt"),
        ];
        let parts = parts.into_iter().filter_map(|(part, name)| Some((part?, name)));
        let named = parts.filter(|(part, _)| part.as_secs_f64() >= LEAST_SHARE * first.as_secs_f64());
        for (place, (part, name)) in named.enumerate() {
            let before = if place == 0 { ':' } else { ',' };
            write!(text, "{before} {} {name}", seconds(part)).expect("writing to a String does not fail");
        }
        text
    }

    /// Describes a response that took long after its beginning.
    fn slow_response(&self) -> String {
        let mut text = format!("the response took {}", seconds(self.duration));
        // Time in which the client held the stream says nothing about Ollama.
        let silence = self.timeline.last_content.map(|last| self.duration.saturating_sub(last));
        let silence = silence.unwrap_or_default().saturating_sub(self.client_wait);
        let is_silent = silence.as_secs_f64() >= LEAST_SHARE * self.duration.as_secs_f64();
        let silence = if is_silent { silence } else { Duration::ZERO };
        let decoded = self.first_token.map(|first| self.duration.saturating_sub(first + silence));
        if let (Some(first), Some(decoded)) = (self.first_token, decoded) {
            let tokens = self.usage.output_tokens.unwrap_or(self.content_records);
            let rate = tokens as f64 / decoded.as_secs_f64().max(1e-3);
            write!(text, ": {} to the first token, then {tokens} tokens at {rate:.1}/s", seconds(first))
                .expect("writing to a String does not fail");
        }
        if is_silent {
            write!(text, ", then nothing for {}", seconds(silence))
                .expect("writing to a String does not fail");
        }
        if self.client_wait.as_secs_f64() >= LEAST_SHARE * self.duration.as_secs_f64() {
            write!(text, ", {} of it waiting for the client", seconds(self.client_wait))
                .expect("writing to a String does not fail");
        }
        text
    }
}

/// A time for people.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::{
        meter::{Config, Facts, Measurement, Meter},
        protocol::Usage,
    };

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// The ending of a generation that completed, before its times are set.
    fn ending() -> Ending {
        let meter = Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).unwrap();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let mut measurement: Measurement = meter.start(Facts::new("POST", "/api/generate"));
        measurement.on_end(move |ending| tell.send(ending.clone()).unwrap());
        measurement.finish(Outcome::Complete);
        told.recv().unwrap()
    }

    #[test]
    fn slow_first_token_is_explained_by_its_parts() {
        let mut slow = ending();
        slow.duration = ms(15_000);
        slow.first_token = Some(ms(12_300));
        slow.queue_wait = Some(ms(10_100));
        slow.hidden_queue = Some(ms(1_200));
        slow.usage = Usage { load: Some(ms(900)), prompt_eval: Some(ms(100)), ..Usage::default() };
        assert!(SlowLimits::default().are_exceeded(&slow));
        assert_eq!(
            slow.slowness(),
            "the first token came after 12.3 s: 10.1 s in the queue of the sidecar, 1.2 s in the hidden queue of \
             Ollama, 900 ms to load the model"
        );
    }

    #[test]
    fn slow_response_is_explained_by_its_rate_and_its_client() {
        let mut slow = ending();
        slow.duration = ms(90_000);
        slow.first_token = Some(ms(2_000));
        slow.client_wait = ms(30_000);
        slow.usage.output_tokens = Some(880);
        assert!(SlowLimits::default().are_exceeded(&slow));
        assert_eq!(
            slow.slowness(),
            "the response took 90.0 s: 2.0 s to the first token, then 880 tokens at 10.0/s, 30.0 s of it waiting for \
             the client"
        );
    }

    #[test]
    fn silence_at_the_end_of_a_slow_response_is_no_part_of_its_rate() {
        let mut slow = ending();
        (slow.duration, slow.outcome) = (ms(300_600), Outcome::ClientAbort);
        slow.first_token = Some(ms(20));
        slow.timeline.last_content = Some(ms(600));
        slow.content_records = 18;
        let told = "the response took 300.6 s: 20 ms to the first token, then 18 tokens at 31.0/s, then nothing for 300.0 s";
        assert_eq!(slow.slowness(), told);
        slow.client_wait = ms(299_000);
        let told = "the response took 300.6 s: 20 ms to the first token, then 18 tokens at 0.1/s, 299.0 s of it waiting \
                    for the client";
        assert_eq!(slow.slowness(), told);
    }

    #[test]
    fn client_that_leaves_without_a_token_has_waited_for_it() {
        let mut left = ending();
        (left.duration, left.outcome) = (ms(30_000), Outcome::ClientAbort);
        assert!(SlowLimits::default().are_exceeded(&left));
        assert_eq!(left.slowness(), "the client disconnected after 30.0 s, before Ollama had the request");
        (left.was_sent, left.queue_wait) = (true, Some(ms(20_000)));
        let told = "the client disconnected after 30.0 s without a token: 20.0 s in the queue of the sidecar";
        assert_eq!(left.slowness(), told);
    }

    #[test]
    fn request_below_the_limits_or_without_limits_is_not_slow() {
        let mut quick = ending();
        (quick.duration, quick.first_token) = (ms(60_000), Some(ms(10_000)));
        assert!(!SlowLimits::default().are_exceeded(&quick));
        quick.duration += ms(1);
        assert!(SlowLimits::default().are_exceeded(&quick));
        assert!(!SlowLimits { first_token: None, duration: None }.are_exceeded(&quick));
    }
}
