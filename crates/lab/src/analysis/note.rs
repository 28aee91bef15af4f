//! Notes on missing data and on weak comparisons.

use std::collections::{BTreeMap, HashMap};

use super::{ConditionSummary, RunKind, RunSummary, run::Rows, statistic::centre};

/// If the tokens alone and together differ by more than this share, a note says so.
const UNLIKE: f64 = 0.01;

/// The most failures that the notes name.
const FAILURES: usize = 10;

/// Returns one sentence per note, by run and then by condition.
pub(super) fn notes(
    conditions: &[ConditionSummary],
    runs: &[RunSummary],
    rows: &HashMap<u32, Rows<'_>>,
) -> Vec<String> {
    let mut notes = Vec::new();
    for run in runs {
        if conditions.iter().all(|condition| condition.condition.name != run.condition) {
            notes.push(format!("run {} is of condition {}, which does not exist", run.id, run.condition));
        }
    }
    let failures = || runs.iter().flat_map(|run| run.failures.iter().map(move |failure| (run.id, failure)));
    for (run, failure) in failures().take(FAILURES) {
        notes.push(format!("run {run} counts as failed: {failure}"));
    }
    match failures().count().saturating_sub(FAILURES) {
        0 => {}
        1 => notes.push("1 more agent failed: --format json has all failures".into()),
        more => notes.push(format!("{more} more agents failed: --format json has all failures")),
    }
    let stopped = conditions.iter().find_map(|condition| condition.condition.until.as_deref());
    notes.extend(stopped.map(|measure| {
        format!(
            "the experiment was to stop when the intervals of {measure} are narrow enough: they are widened by the quantile of \
             97.5 % intervals, so that they contain the truth at least as often as the 95 % that they state"
        )
    }));
    for condition in conditions.iter().filter(|condition| condition.runs > 0) {
        let name = &condition.condition.name;
        if condition.failed > 0 {
            let all = condition.runs + condition.failed;
            notes.push(format!(
                "{} of {all} runs of {name} failed: its figures are those of the other runs alone",
                condition.failed
            ));
        }
        let Some(baseline) = &condition.baseline else {
            notes.push(format!("{name} has no solo runs, and so no true speedup"));
            continue;
        };
        if baseline != name {
            notes.push(format!(
                "{name} has no solo runs of its own: its true speedup uses those of {baseline}"
            ));
        }
        let alone = tokens(runs, rows, baseline, RunKind::Solo);
        for (role, together) in tokens(runs, rows, name, RunKind::Together) {
            match alone.get(role) {
                None => {
                    notes.push(format!("{role} of {name} never ran alone, and so there is no true speedup"))
                }
                Some(alone) if (together / alone - 1.0).abs() > UNLIKE => notes.push(format!(
                    "{role} of {name} made {together:.0} tokens together and {alone:.0} alone: \
                     its true speedup compares different work"
                )),
                Some(_) => {}
            }
        }
    }
    notes
}

/// Returns the mean number of tokens of each role, over the successful runs of one kind.
fn tokens<'a>(
    runs: &[RunSummary],
    rows: &HashMap<u32, Rows<'a>>,
    condition: &str,
    kind: RunKind,
) -> BTreeMap<&'a str, f64> {
    let mut counts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let counted =
        |run: &&RunSummary| run.kind == kind && run.condition == condition && run.failures.is_empty();
    for run in runs.iter().filter(counted) {
        for agent in rows.get(&run.id).into_iter().flat_map(|rows| &rows.agents) {
            if let Some(tokens) = agent.tokens {
                counts.entry(&agent.role).or_default().push(tokens as f64);
            }
        }
    }
    counts.into_iter().map(|(role, counts)| (role, centre(&counts))).collect()
}
