//! The rows of a generation in the files of a recording.

use crate::{
    analysis::{Agent, Chunk, Gaps, Served},
    experiment::recording::AgentRow,
    recording::Generation,
};

/// Returns the row of a generation, which gets the number `agent`, and those of its chunks.
pub(super) fn rows(generation: Generation, agent: u32) -> (AgentRow, Vec<Chunk>) {
    let started = generation.accepted_s;
    let mut last = f64::NAN;
    let chunk = |(since, bytes, records, streams): &(f64, u32, u32, u32)| {
        let at = started + since;
        let gap = at - std::mem::replace(&mut last, at);
        Chunk { run: 0, agent, at, bytes: *bytes, records: *records, gap, parse: f64::NAN, streams: *streams }
    };
    let chunks: Vec<Chunk> = generation.chunks.iter().map(chunk).collect();
    let all = chunks.len() as u64 + generation.lost_chunks;
    let agent = Agent {
        run: 0,
        agent,
        role: generation.caller.unwrap_or_else(|| generation.model.clone()),
        model: generation.model,
        scheduled: None,
        started,
        duration: generation.duration_s,
        first_token: generation.ttft_s,
        tokens: generation.output_tokens,
        eval_duration: generation.eval_s,
        prompt_tokens: generation.prompt_tokens,
        prompt_eval_duration: generation.prompt_eval_s,
        load_duration: generation.load_s,
        total_duration: generation.total_s,
        cpu: None,
        failure: generation.failure.map(|failure| failure.replace(char::is_control, " ")),
        served: Some(Box::new(Served {
            upstream: generation.upstream.clone(),
            route: generation.route,
            queue: generation.queue_s,
            hidden_queue: generation.hidden_queue_s,
            client_wait: Some(generation.client_wait_s),
            chunks: Some(all),
        })),
    };
    let row = AgentRow {
        upstream: generation.upstream,
        chunks: all,
        bytes: generation.bytes,
        gaps: Gaps::default(),
        agent,
    };
    (row, chunks)
}
