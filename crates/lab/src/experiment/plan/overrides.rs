//! The settings of a plan that the command line changes.

use super::{Plan, PlanError, check};
use crate::analysis::Language;

/// Settings that take precedence over those of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// The random seed.
    pub seed: Option<u64>,
    /// The runs of every condition.
    pub repetitions: Option<u32>,
    /// The model of all agents.
    pub model: Option<String>,
    /// The tokens of all agents.
    pub tokens: Option<u32>,
    /// URLs by the name of their upstream. A URL without a name applies to every upstream.
    pub upstreams: Vec<(Option<String>, String)>,
    /// The language whose conditions are left out.
    pub skip: Option<Language>,
}

impl Plan {
    /// Returns the plan with these settings.
    ///
    /// # Errors
    /// All mistakes of the result.
    pub fn overridden(mut self, overrides: &Overrides) -> Result<Plan, PlanError> {
        let mut mistakes = Vec::new();
        for (name, url) in &overrides.upstreams {
            match name {
                None => self.upstreams.values_mut().for_each(|old| old.clone_from(url)),
                Some(name) => match self.upstreams.get_mut(name) {
                    Some(old) => old.clone_from(url),
                    None => {
                        let known: Vec<&str> = self.upstreams.keys().map(String::as_str).collect();
                        mistakes
                            .push(format!("no upstream is called {name:?}; there are {}", known.join(", ")));
                    }
                },
            }
        }
        if let Some(language) = overrides.skip {
            mistakes.extend(self.skip(language));
        }
        self.seed = overrides.seed.unwrap_or(self.seed);
        self.repetitions = overrides.repetitions.unwrap_or(self.repetitions);
        for role in &mut self.roles {
            role.tokens = overrides.tokens.unwrap_or(role.tokens);
            if let Some(model) = &overrides.model {
                role.model.clone_from(model);
            }
        }
        mistakes.extend(check::mistakes(&self));
        if mistakes.is_empty() { Ok(self) } else { Err(PlanError::Mistakes(mistakes)) }
    }

    /// Leaves out the conditions in a language. Conditions that name one of them as baseline lose their baseline.
    /// Returns a mistake if nothing is left.
    fn skip(&mut self, language: Language) -> Option<String> {
        self.conditions.retain(|condition| condition.language != language);
        let left: Vec<String> = self.conditions.iter().map(|condition| condition.name.clone()).collect();
        for condition in &mut self.conditions {
            condition.baseline = condition.baseline.take().filter(|baseline| left.contains(baseline));
        }
        left.is_empty().then(|| "every condition of the plan is in the skipped language".into())
    }
}
