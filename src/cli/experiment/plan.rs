//! Finds the plan that the user names, and applies the flags that change it.

use std::{fs, path::Path};

use super::super::CommandFailure;
use crate::experiment::plan::{BUNDLED, Bundled, Overrides, Plan};

/// The bundled plan of that name.
pub(super) fn bundled(name: &str) -> Result<&'static Bundled, CommandFailure> {
    Bundled::named(name).ok_or_else(|| {
        let known: Vec<&str> = BUNDLED.iter().map(|bundled| bundled.name).collect();
        CommandFailure::Usage(
            format!("no bundled plan is named {name:?}: choose one of {}", known.join(", ")).into(),
        )
    })
}

/// Loads a plan from a file, or a bundled plan by its name.
pub(super) fn load(named: &str, overrides: &Overrides) -> Result<Plan, CommandFailure> {
    let path = Path::new(named);
    let text = if path.exists() {
        fs::read_to_string(path)
            .map_err(|error| CommandFailure::Usage(format!("cannot read {named}: {error}").into()))?
    } else if named.contains(['/', '.']) {
        return Err(CommandFailure::Usage(format!(
            "{named}: there is no such file: write one with `streamgauge experiment init --output {named}`"
        )
        .into()));
    } else {
        bundled(named)?.text.to_owned()
    };
    let plan = text.parse::<Plan>().and_then(|plan| plan.overridden(overrides));
    plan.map_err(|error| CommandFailure::Usage(format!("{named}: {error}").into()))
}
