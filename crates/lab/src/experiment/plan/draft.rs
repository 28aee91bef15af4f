//! A plan as it is written, with abbreviations that are resolved later.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ConditionPlan, Plan, Role, Route, SidecarPlan, Span, default, load::LoadDraft};
use crate::analysis::Language;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    name: String,
    #[serde(default = "default::seed")]
    seed: u64,
    #[serde(default = "default::repetitions")]
    repetitions: u32,
    #[serde(default = "default::warm_up")]
    warm_up: u32,
    #[serde(default = "default::timeout")]
    timeout: Span,
    #[serde(default = "default::pause")]
    pause: Span,
    #[serde(default)]
    keep_text: bool,
    #[serde(default = "default::expected_rate")]
    expected_rate: f64,
    /// The default for conditions that do not set it.
    #[serde(default = "yes")]
    solo: bool,
    #[serde(default)]
    upstreams: BTreeMap<String, String>,
    #[serde(default, rename = "agent")]
    roles: Vec<RoleDraft>,
    #[serde(default, rename = "condition")]
    conditions: Vec<ConditionDraft>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleDraft {
    name: String,
    upstream: Option<String>,
    model: String,
    #[serde(default)]
    route: Route,
    tokens: u32,
    prompt: Option<String>,
    prompt_sha256: Option<String>,
    #[serde(default)]
    options: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionDraft {
    name: String,
    #[serde(default)]
    language: LanguageName,
    agents: Option<Vec<String>>,
    /// The result of `agents` and `count`. A resolved plan contains it.
    team: Option<Vec<String>>,
    count: Option<u32>,
    counts: Option<Vec<u32>>,
    baseline: Option<String>,
    series: Option<String>,
    solo: Option<bool>,
    #[serde(default)]
    own_process: bool,
    #[serde(default)]
    processes: bool,
    #[serde(default)]
    uvloop: bool,
    #[serde(default)]
    orjson: bool,
    batch: Option<Span>,
    read_buffer: Option<u32>,
    pace: Option<f64>,
    leaky_pace: Option<f64>,
    sidecar: Option<SidecarPlan>,
    load: Option<LoadDraft>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LanguageName {
    #[default]
    Rust,
    Python,
}

impl From<LanguageName> for Language {
    fn from(name: LanguageName) -> Language {
        match name {
            LanguageName::Rust => Language::Rust,
            LanguageName::Python => Language::Python,
        }
    }
}

impl Draft {
    /// Returns the mistakes that the resolved plan no longer shows.
    pub(super) fn conflicts(&self) -> Vec<String> {
        let of_condition = |condition: &ConditionDraft| {
            let load = condition.load.as_ref()?;
            let what = if condition.counts.is_some() {
                "counts is for agents that run once: write load.rates for a load"
            } else if condition.solo == Some(true) {
                "a load has no solo runs: remove solo"
            } else {
                load.conflict()?
            };
            Some(format!("condition {:?}: {what}", condition.name))
        };
        self.conditions.iter().filter_map(of_condition).collect()
    }

    pub(super) fn resolve(self) -> Plan {
        let first = self.upstreams.keys().next().cloned().unwrap_or_default();
        let roles: Vec<Role> = self.roles.into_iter().map(|role| role.resolve(&first)).collect();
        let names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
        let conditions =
            self.conditions.into_iter().flat_map(|draft| draft.resolve(&names, self.solo)).collect();
        Plan {
            name: self.name,
            seed: self.seed,
            repetitions: self.repetitions,
            warm_up: self.warm_up,
            timeout: self.timeout,
            pause: self.pause,
            keep_text: self.keep_text,
            expected_rate: self.expected_rate,
            upstreams: self.upstreams,
            roles,
            conditions,
        }
    }
}

impl RoleDraft {
    fn resolve(self, first_upstream: &str) -> Role {
        Role {
            name: self.name,
            upstream: self.upstream.unwrap_or_else(|| first_upstream.into()),
            model: self.model,
            route: self.route,
            tokens: self.tokens,
            prompt: self.prompt,
            prompt_sha256: self.prompt_sha256,
            options: self.options,
        }
    }
}

impl ConditionDraft {
    /// One condition, or a series of them: one for each of `counts`. The conditions of a series are compared with the
    /// first one, whose solo runs serve all of them.
    fn resolve(self, roles: &[String], solo: bool) -> Vec<ConditionPlan> {
        let agents = self.agents.unwrap_or_else(|| roles.to_vec());
        let team = |count: Option<u32>| match (&self.team, count) {
            (Some(team), _) => team.clone(),
            (None, None) => agents.clone(),
            (None, Some(count)) => agents.iter().cloned().cycle().take(count as usize).collect(),
        };
        let one = ConditionPlan {
            name: self.name.clone(),
            language: self.language.into(),
            team: team(self.count),
            baseline: self.baseline,
            series: self.series,
            // A request of an open-loop load has no counterpart alone.
            solo: self.load.is_none() && self.solo.unwrap_or(solo),
            own_process: self.own_process,
            processes: self.processes,
            uvloop: self.uvloop,
            orjson: self.orjson,
            batch: self.batch,
            read_buffer: self.read_buffer,
            pace: self.pace,
            leaky_pace: self.leaky_pace,
            sidecar: self.sidecar,
            load: self.load.as_ref().map(|load| load.resolve(None)),
        };
        if let Some((load, rates)) = self.load.as_ref().and_then(|load| Some((load, load.rates.as_ref()?))) {
            return sweep(&one, load, rates);
        }
        let Some(counts) = self.counts else { return vec![one] };
        let name = |count: &u32| format!("{}-{count}", self.name);
        let first = counts.first().map(name);
        counts
            .iter()
            .map(|count| {
                let is_first = Some(name(count)) == first;
                ConditionPlan {
                    name: name(count),
                    team: team(Some(*count)),
                    baseline: if is_first { one.baseline.clone() } else { first.clone() },
                    series: one.series.clone().or_else(|| Some(self.name.clone())),
                    solo: one.solo && is_first,
                    ..one.clone()
                }
            })
            .collect()
    }
}

/// One condition for each rate of a load, in ascending order.
fn sweep(one: &ConditionPlan, load: &LoadDraft, rates: &[f64]) -> Vec<ConditionPlan> {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    let at = |rate: &f64| ConditionPlan {
        name: format!("{}-{rate}", one.name),
        series: one.series.clone().or_else(|| Some(one.name.clone())),
        load: Some(load.resolve(Some(*rate))),
        ..one.clone()
    };
    rates.iter().map(at).collect()
}
