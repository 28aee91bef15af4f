//! `agents.csv`.

use csv::ByteRecord;

use super::{
    super::{decimal::Unit, layout::AGENTS},
    Reading,
    column::{Header, Time, Value, text, whole},
    table::{self, Fault, wrong},
};
use crate::analysis::{Agent, Recording, Served};

struct AgentColumns {
    run: usize,
    agent: usize,
    role: Option<usize>,
    model: Option<usize>,
    scheduled: Option<Time>,
    started: Option<Time>,
    duration: Time,
    first_token: Option<Time>,
    tokens: Option<usize>,
    prompt_tokens: Option<usize>,
    eval: Option<Time>,
    prompt_eval: Option<Time>,
    load: Option<Time>,
    total: Option<Time>,
    cpu: Option<Time>,
    failure: Option<usize>,
    served: ServedColumns,
}

/// The columns that only live traffic fills.
struct ServedColumns {
    upstream: Option<usize>,
    route: Option<usize>,
    queue: Option<Time>,
    hidden_queue: Option<Time>,
    client_wait: Option<Time>,
    chunks: Option<usize>,
}

impl AgentColumns {
    fn of(header: &Header) -> Result<AgentColumns, String> {
        let need = |name: &str| header.any(&[name]).ok_or_else(|| format!("it lacks the column {name}"));
        // Values of Ollama are in nanoseconds in every recording.
        let ollama = |name: &str| header.time(&[name], Some(Unit::Nanoseconds));
        Ok(AgentColumns {
            run: need("run")?,
            agent: header.any(&["agent_id", "agent"]).ok_or("it lacks the column agent_id")?,
            role: header.any(&["role"]),
            model: header.any(&["model"]),
            scheduled: header.time(&["scheduled"], Some(Unit::Seconds)),
            started: header.time(&["timestamp", "started"], Some(Unit::Seconds)),
            duration: header.time(&["duration"], None).ok_or("it lacks the column duration_s")?,
            first_token: header.time(&["ttft"], None),
            tokens: header.any(&["eval_count"]),
            prompt_tokens: header.any(&["prompt_eval_count"]),
            eval: ollama("eval_duration"),
            prompt_eval: ollama("prompt_eval_duration"),
            load: ollama("load_duration"),
            total: ollama("total_duration"),
            cpu: header.time(&["cpu"], None),
            failure: header.any(&["failure", "error"]),
            served: ServedColumns {
                upstream: header.any(&["upstream"]),
                route: header.any(&["route"]),
                queue: header.time(&["queue"], None),
                hidden_queue: header.time(&["hidden_queue"], None),
                client_wait: header.time(&["client_wait"], None),
                chunks: header.any(&["chunks"]),
            },
        })
    }
}

impl AgentColumns {
    /// Refuses a value that is neither a number nor missing: as a missing one, it would count as no tokens or no wait.
    fn check(&self, row: &ByteRecord) -> Result<(), Fault> {
        let ServedColumns { queue, hidden_queue, client_wait, chunks, .. } = self.served;
        let times = [
            ("scheduled", self.scheduled),
            ("timestamp", self.started),
            ("duration", Some(self.duration)),
            ("ttft", self.first_token),
            ("eval_duration", self.eval),
            ("prompt_eval_duration", self.prompt_eval),
            ("load_duration", self.load),
            ("total_duration", self.total),
            ("cpu", self.cpu),
            ("queue", queue),
            ("hidden_queue", hidden_queue),
            ("client_wait", client_wait),
        ];
        for (name, time) in times {
            if let Some(time) = time.filter(|time| time.of(row) == Value::Wrong) {
                return Err(wrong(name, row, time.place()));
            }
        }
        let counts =
            [("eval_count", self.tokens), ("prompt_eval_count", self.prompt_tokens), ("chunks", chunks)];
        for (name, count) in counts {
            let is_wrong = |at: &usize| !is_missing(&row[*at]) && whole(&row[*at]).is_none();
            if let Some(at) = count.filter(is_wrong) {
                return Err(wrong(name, row, at));
            }
        }
        Ok(())
    }
}

fn is_missing(field: &[u8]) -> bool {
    field.is_empty() || field == b"None" || field.eq_ignore_ascii_case(b"nan")
}

/// Returns what the sidecar knew about a request. `None`: it is one of an experiment, which has no route.
fn served(columns: &ServedColumns, row: &ByteRecord) -> Option<Box<Served>> {
    let route = columns.route.map(|at| text(&row[at])).filter(|route| !route.is_empty())?;
    let time = |column: Option<Time>| column.and_then(|column| column.of(row).given());
    Some(Box::new(Served {
        upstream: columns.upstream.map(|at| text(&row[at])).unwrap_or_default(),
        route,
        queue: time(columns.queue),
        hidden_queue: time(columns.hidden_queue),
        client_wait: time(columns.client_wait),
        chunks: columns.chunks.and_then(|at| whole(&row[at])),
    }))
}

pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    table::read(reading, AGENTS, AgentColumns::of, |reading, columns, row, _| {
        let run = whole(&row[columns.run]).and_then(|run| u32::try_from(run).ok());
        let run = run.ok_or_else(|| wrong("run", row, columns.run))?;
        columns.check(row)?;
        let agent = reading.agent(&row[columns.agent]);
        let time = |column: Option<Time>| column.and_then(|column| column.of(row).given());
        let count = |column: Option<usize>| column.and_then(|at| whole(&row[at]));
        let failure = columns.failure.map(|at| text(&row[at])).filter(|failure| !failure.is_empty());
        let duration = time(Some(columns.duration)).filter(|duration| *duration >= 0.0);
        // An agent that failed may have no duration.
        let duration = match (duration, &failure) {
            (Some(duration), _) => duration,
            (None, Some(_)) => 0.0,
            (None, None) => return Err(("value", format!("agent {agent} of run {run} has no duration"))),
        };
        recording.agents.push(Agent {
            run,
            agent,
            role: columns.role.map_or_else(|| text(&row[columns.agent]), |at| text(&row[at])),
            model: columns.model.map(|at| text(&row[at])).unwrap_or_default(),
            scheduled: time(columns.scheduled),
            started: time(columns.started).unwrap_or(0.0),
            duration,
            first_token: time(columns.first_token),
            tokens: count(columns.tokens),
            eval_duration: time(columns.eval),
            prompt_tokens: count(columns.prompt_tokens),
            prompt_eval_duration: time(columns.prompt_eval),
            load_duration: time(columns.load),
            total_duration: time(columns.total),
            cpu: time(columns.cpu),
            failure,
            served: served(&columns.served, row),
        });
        Ok(())
    });
}
