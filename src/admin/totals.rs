//! Counts by model, upstream and caller, for `/overview`. Their number is limited as the number of label values is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    meter::Outcome,
    metric::{Buckets, Scrape, Series},
    protocol::Route,
};

/// The most rows of each table. The rows with the most requests are kept.
const MOST_ROWS: usize = 50;

/// One row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    requests: f64,
    failed: f64,
    refused: f64,
    prompt_tokens: f64,
    output_tokens: f64,
    /// Records with content, thinking or a tool call, counted as they arrive.
    records: f64,
    /// Loads of a model, or at an upstream, by their cause.
    loads: BTreeMap<String, f64>,
    /// The limits of a caller per second, by what they limit.
    limits: BTreeMap<String, f64>,
    /// Times to first token of a model. The metrics do not have them by upstream or caller.
    first_token: Buckets,
}

/// The tables at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    models: Vec<(String, Row)>,
    upstreams: Vec<(String, Row)>,
    callers: Vec<(String, Row)>,
    /// Refused requests by the reason.
    refusals: BTreeMap<String, f64>,
}

impl Totals {
    pub(super) fn of(scrape: &Scrape) -> Totals {
        let generates = |one: &Series<'_>| {
            let route = one.label("route");
            Route::ALL.iter().any(|known| known.generates() && known.label() == route)
        };
        let requests = || scrape.find("requests_total").series().filter(generates);
        let (mut models, mut upstreams, mut callers) =
            (TotalsTable::default(), TotalsTable::default(), TotalsTable::default());
        for one in requests() {
            models.row(one.label("model")).ended(one);
            upstreams.row(one.label("upstream")).ended(one);
        }
        for one in scrape.find("tokens_total").series() {
            models.row(one.label("model")).tokens(one);
        }
        for one in scrape.find("records_total").series() {
            if matches!(one.label("kind"), "content" | "thinking" | "tool_call") {
                models.row(one.label("model")).records += one.value();
            }
        }
        for one in scrape.find("model_loads_total").series() {
            models.row(one.label("model")).loaded(one);
            upstreams.row(one.label("upstream")).loaded(one);
        }
        for one in scrape.find("caller_requests_total").series() {
            callers.row(one.label("caller")).ended(one);
        }
        for one in scrape.find("caller_tokens_total").series() {
            callers.row(one.label("caller")).tokens(one);
        }
        for one in scrape.find("caller_limit_per_second").series() {
            callers.row(one.label("caller")).limits.insert(one.label("kind").to_owned(), one.value());
        }
        let mut models = models.most();
        for (model, row) in &mut models {
            let first_tokens = scrape.find("time_to_first_token_seconds");
            row.first_token = first_tokens.buckets(|one| one.label("model") == model);
        }
        let refused = scrape.find("admission_total");
        let refused = refused.series().filter(|one| one.label("decision") == Outcome::Refused.label());
        let refused = refused.filter(|one| one.value() > 0.0);
        let refusals = refused.map(|one| (one.label("reason").to_owned(), one.value())).collect();
        Totals { models, upstreams: upstreams.most(), callers: callers.most(), refusals }
    }

    /// The counts that came after `earlier`. Rows without a request since then are left out.
    pub(super) fn since(&self, earlier: &Totals) -> Totals {
        let table = |now: &[(String, Row)], before: &[(String, Row)]| {
            let row = |(name, row): &(String, Row)| {
                let before = before.iter().find(|(known, _)| known == name);
                (name.clone(), before.map_or_else(|| row.clone(), |(_, before)| row.since(before)))
            };
            TotalsTable(now.iter().map(row).collect()).most()
        };
        Totals {
            models: table(&self.models, &earlier.models),
            upstreams: table(&self.upstreams, &earlier.upstreams),
            callers: table(&self.callers, &earlier.callers),
            refusals: since(&self.refusals, &earlier.refusals),
        }
    }

    pub(super) fn render(&self) -> Value {
        let table =
            |rows: &[(String, Row)]| rows.iter().map(|(name, row)| row.render(name)).collect::<Vec<_>>();
        json!({
            "models": table(&self.models),
            "upstreams": table(&self.upstreams),
            "callers": table(&self.callers),
            "refusals": self.refusals,
        })
    }
}

/// The growth of a count.
fn grown(now: f64, before: f64) -> f64 {
    (now - before).max(0.0)
}

/// The growth of counts by their names.
fn since(now: &BTreeMap<String, f64>, earlier: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let before = |name: &str| earlier.get(name).copied().unwrap_or_default();
    now.iter().map(|(name, now)| (name.clone(), grown(*now, before(name)))).collect()
}

/// The rows by their label value.
#[derive(Default)]
struct TotalsTable(BTreeMap<String, Row>);

impl TotalsTable {
    fn row(&mut self, name: &str) -> &mut Row {
        self.0.entry(name.to_owned()).or_default()
    }

    /// The rows with at least one request, the busiest first.
    fn most(self) -> Vec<(String, Row)> {
        let mut rows: Vec<_> = self.0.into_iter().filter(|(_, row)| row.requests > 0.0).collect();
        rows.sort_by(|(_, one), (_, other)| other.requests.total_cmp(&one.requests));
        rows.truncate(MOST_ROWS);
        rows
    }
}

impl Row {
    fn ended(&mut self, series: Series<'_>) {
        let outcome = series.label("outcome");
        self.requests += series.value();
        if Outcome::ALL.iter().any(|one| one.is_failure() && one.label() == outcome) {
            self.failed += series.value();
        }
        if outcome == Outcome::Refused.label() {
            self.refused += series.value();
        }
    }

    fn tokens(&mut self, series: Series<'_>) {
        match series.label("kind") {
            "prompt" => self.prompt_tokens += series.value(),
            "output" => self.output_tokens += series.value(),
            _ => {}
        }
    }

    fn loaded(&mut self, series: Series<'_>) {
        *self.loads.entry(series.label("cause").to_owned()).or_default() += series.value();
    }

    /// The cause of most loads.
    fn load_cause(&self) -> Option<&str> {
        let caused = self.loads.iter().filter(|(_, count)| **count > 0.0);
        caused.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(cause, _)| cause.as_str())
    }

    /// A model that gives its label to another takes its counts along, so a difference can be negative. It counts as 0.
    fn since(&self, earlier: &Row) -> Row {
        Row {
            requests: grown(self.requests, earlier.requests),
            failed: grown(self.failed, earlier.failed),
            refused: grown(self.refused, earlier.refused),
            prompt_tokens: grown(self.prompt_tokens, earlier.prompt_tokens),
            output_tokens: grown(self.output_tokens, earlier.output_tokens),
            records: grown(self.records, earlier.records),
            loads: since(&self.loads, &earlier.loads),
            limits: self.limits.clone(),
            first_token: self.first_token.since(&earlier.first_token),
        }
    }

    fn render(&self, name: &str) -> Value {
        json!({
            "name": name,
            "requests": self.requests,
            "failed": self.failed,
            "refused": self.refused,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "records": self.records,
            "loads": self.loads.values().sum::<f64>(),
            "load_cause": self.load_cause(),
            "limits_per_second": self.limits,
            "first_token_p50_seconds": self.first_token.quantile(0.5),
            "first_token_p95_seconds": self.first_token.quantile(0.95),
        })
    }
}
