//! `access.keys_file`: the keys that change without a reload.

use std::path::Path;

use super::{
    super::{
        clash,
        mistake::{Mistake, Mistakes},
        source,
    },
    Resolved, file,
};

const KEY: &str = "access.keys_file";

/// Adds the keys of the file, if there is one, to those of the configuration.
pub(super) fn apply(resolved: &mut Resolved, out: &mut Vec<Mistake>) {
    resolved.own_keys = resolved.config.sidecar.admission.keys.len();
    let Some(path) = resolved.config.keys_file.clone() else { return };
    match source::text_file(&path) {
        Ok(text) => file::apply_keys(resolved, Path::new(&path), &text, out),
        Err(problem) => out.push(problem.at(resolved.origins[KEY].clone(), KEY)),
    }
}

/// The same settings with the present keys of `access.keys_file`.
///
/// # Errors
/// Every mistake in the file, and every contradiction to the settings.
pub(crate) fn renew_keys(resolved: &Resolved) -> Result<Resolved, Mistakes> {
    let mut renewed = resolved.clone();
    renewed.config.sidecar.admission.keys.truncate(resolved.own_keys);
    renewed.key_origins.truncate(resolved.own_keys);
    let mut mistakes = Vec::new();
    apply(&mut renewed, &mut mistakes);
    if mistakes.is_empty() {
        clash::find_in_keys(&renewed, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(renewed) } else { Err(Mistakes(mistakes)) }
}
