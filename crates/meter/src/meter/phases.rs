//! Divides the time of a generation into phases, from its final record and the arrivals of its records.

use std::time::Duration;

use crate::protocol::Usage;

/// The arrival times of a stream, each since the request was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals {
    /// The time at which the upstream took the last byte of the request.
    pub(super) sent: Option<Duration>,
    /// The first record.
    pub(super) first: Option<Duration>,
    /// The last record. `None`: the client held the stream, so the time is not that of Ollama.
    pub(super) last: Option<Duration>,
}

/// The phases of a generation that its final record and its arrivals show. An unknown phase is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Phases {
    /// Ollama's own queue, which no duration of the final record includes.
    pub(super) queue: Option<Duration>,
    /// The time from the first token to the last record.
    pub(super) decode: Option<Duration>,
    /// The part of the decoding, or of a whole response, that no duration includes.
    pub(super) unaccounted: Option<Duration>,
}

impl Phases {
    /// Returns the phases of a stream.
    ///
    /// Two estimates are upper bounds of the hidden queue, and the smaller one is used:
    ///
    /// - `first record − sent − load − prompt_eval` is the queue if the first token was sent as a record. A tool call
    ///   is sent when it is complete, so this estimate includes its generation.
    /// - `total − load − prompt_eval − eval` is the queue since Ollama 0.30. Before 0.30, it includes sampling and
    ///   the wait for the batch.
    ///
    /// If the second one is smaller, the first token was generated before the first record came, and `decode` begins
    /// there.
    pub(super) fn of_stream(usage: &Usage, arrivals: Arrivals) -> Phases {
        let Some(total) = usage.total.filter(|_| !usage.has_invalid_duration) else {
            return Phases::default();
        };
        let before = usage.load.unwrap_or_default() + usage.prompt_eval.unwrap_or_default();
        let queue = arrivals.sent.zip(arrivals.first).map(|(sent, first)| {
            let to_first_record = first.saturating_sub(sent + before);
            let beside_durations = total.saturating_sub(before + usage.eval.unwrap_or_default());
            to_first_record.min(beside_durations)
        });
        let decode = arrivals
            .sent
            .zip(arrivals.first)
            .zip(arrivals.last)
            .zip(queue)
            .map(|(((sent, first), last), queue)| last.saturating_sub(first.min(sent + queue + before)));
        let unaccounted = decode.zip(usage.eval).map(|(decode, eval)| decode.saturating_sub(eval));
        Phases { queue, decode, unaccounted }
    }

    /// Returns the phases of a whole response. Its queue cannot be separated from the other time that no duration
    /// includes.
    pub(super) fn of_whole(usage: &Usage) -> Phases {
        let told = [usage.load, usage.prompt_eval, usage.eval].into_iter().flatten().sum();
        let total = usage.total.filter(|_| !usage.has_invalid_duration);
        Phases { unaccounted: total.map(|total| total.saturating_sub(told)), ..Phases::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Option<Duration> {
        Some(Duration::from_millis(count))
    }

    fn usage(total: u64, load: u64, prompt_eval: u64, eval: u64) -> Usage {
        Usage {
            total: ms(total),
            load: ms(load),
            prompt_eval: ms(prompt_eval),
            eval: ms(eval),
            ..Usage::default()
        }
    }

    fn arrivals(sent: u64, first: u64, last: u64) -> Arrivals {
        Arrivals { sent: ms(sent), first: ms(first), last: ms(last) }
    }

    #[test]
    fn text_stream_before_0_30_takes_queue_from_first_record() {
        // Sampling took 220 ms, which no duration includes.
        let phases = Phases::of_stream(&usage(1_640, 200, 10, 1_000), arrivals(5, 425, 1_645));
        assert_eq!(phases, Phases { queue: ms(210), decode: ms(1_220), unaccounted: ms(220) });
    }

    #[test]
    fn tool_call_in_last_record_leaves_generation_out_of_queue() {
        // Ollama 0.33 sends one record, when everything is generated.
        let phases = Phases::of_stream(&usage(1_800, 1, 35, 1_755), arrivals(4, 1_806, 1_806));
        assert_eq!(phases, Phases { queue: ms(9), decode: ms(1_757), unaccounted: ms(2) });
    }

    #[test]
    fn tool_call_after_silence_leaves_generation_out_of_queue() {
        // With a Go template, the call comes first, and the final record 50 ms later.
        let phases = Phases::of_stream(&usage(5_400, 1, 30, 5_310), arrivals(0, 5_350, 5_400));
        assert_eq!(phases, Phases { queue: ms(59), decode: ms(5_310), unaccounted: ms(0) });
    }

    #[test]
    fn last_record_of_second_run_only_takes_queue_from_first_record() {
        // `think` with `format` on 0.33.0: no duration includes the first run of 700 ms.
        let phases = Phases::of_stream(&usage(1_210, 0, 100, 400), arrivals(0, 110, 1_210));
        assert_eq!(phases.queue, ms(10));
    }

    #[test]
    fn held_stream_has_queue_and_no_decode() {
        let held = Arrivals { last: None, ..arrivals(0, 30, 0) };
        let phases = Phases::of_stream(&usage(1_030, 0, 20, 1_000), held);
        assert_eq!(phases, Phases { queue: ms(10), decode: None, unaccounted: None });
    }

    #[test]
    fn invalid_duration_withholds_phases_computed_from_it() {
        // 0.12.11 reports negative durations for one token.
        let usage =
            Usage { has_invalid_duration: true, prompt_eval: None, eval: None, ..usage(500, 100, 0, 0) };
        assert_eq!(Phases::of_stream(&usage, arrivals(0, 490, 500)), Phases::default());
        assert_eq!(Phases::of_whole(&usage), Phases::default());
    }

    #[test]
    fn whole_response_has_remainder_beside_its_durations() {
        let phases = Phases::of_whole(&usage(1_000, 100, 200, 600));
        assert_eq!(phases, Phases { unaccounted: ms(100), ..Phases::default() });
    }
}
