//! The keys that change without a reload: those of `access.keys_file`, and those of the store (`access.keys_store`).

use std::path::Path;

use super::{
    super::{
        clash,
        mistake::{Mistake, Mistakes, Problem, SettingPlace},
        source,
    },
    PlacedKeys, Resolved, file,
};

const KEY: &str = "access.keys_file";

/// Adds the keys of the file, if there is one, and those of the store, if they are known, to those of the
/// configuration.
pub(super) fn apply(resolved: &mut Resolved, stored: Option<&PlacedKeys>, out: &mut Vec<Mistake>) {
    resolved.own_keys = resolved.config.sidecar.admission.keys.len();
    apply_file(resolved, out);
    if resolved.config.keys_store {
        resolved.add_stored(stored.cloned());
    }
}

/// Adds the keys of the file, if there is one.
fn apply_file(resolved: &mut Resolved, out: &mut Vec<Mistake>) {
    if let Some(path) = resolved.config.keys_file.clone() {
        match source::text_file(&path) {
            Ok(text) => file::apply_keys(resolved, Path::new(&path), &text, out),
            Err(problem) => out.push(problem.at(resolved.origins[KEY].clone(), KEY)),
        }
    }
    resolved.file_keys = resolved.config.sidecar.admission.keys.len() - resolved.own_keys;
}

/// The same settings with the present keys of `access.keys_file`.
///
/// # Errors
/// Every mistake in the file, and every contradiction to the settings.
pub(crate) fn renew_keys(resolved: &Resolved) -> Result<Resolved, Mistakes> {
    let mut renewed = resolved.clone();
    let stored = renewed.take_stored();
    renewed.truncate_keys(resolved.own_keys);
    let mut mistakes = Vec::new();
    apply_file(&mut renewed, &mut mistakes);
    renewed.add_stored(stored);
    finish(renewed, mistakes)
}

/// The same settings with the keys of this text of the store. `name` is its place.
///
/// # Errors
/// Every mistake in the text, and every contradiction to the settings.
pub(crate) fn renew_stored_keys(resolved: &Resolved, name: &str, text: &str) -> Result<Resolved, Mistakes> {
    let mut renewed = resolved.clone();
    renewed.take_stored();
    let mut mistakes = Vec::new();
    file::apply_stored_keys(&mut renewed, name, text, &mut mistakes);
    renewed.has_stored_keys = true;
    finish(renewed, mistakes)
}

/// The mistake of a store that has no text.
pub(crate) fn no_stored_keys(name: &str, what: &str, advice: String) -> Mistakes {
    let place = SettingPlace::Store(name.to_owned(), 1);
    Mistakes(vec![Problem::new(what, advice).at(place, "")])
}

fn finish(renewed: Resolved, mut mistakes: Vec<Mistake>) -> Result<Resolved, Mistakes> {
    if mistakes.is_empty() {
        clash::find_in_keys(&renewed, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(renewed) } else { Err(Mistakes(mistakes)) }
}

impl Resolved {
    fn truncate_keys(&mut self, count: usize) {
        self.config.sidecar.admission.keys.truncate(count);
        self.key_origins.truncate(count);
    }

    /// Removes the keys of the store and returns them. `None` if they are not known.
    fn take_stored(&mut self) -> Option<PlacedKeys> {
        let stored = self.stored_keys();
        self.truncate_keys(self.own_keys + self.file_keys);
        self.has_stored_keys = false;
        stored
    }

    /// Whether the keys of the store are known.
    pub(crate) const fn has_stored_keys(&self) -> bool {
        self.has_stored_keys
    }

    /// The keys of the store. `None` if they are not known.
    pub(in crate::config) fn stored_keys(&self) -> Option<PlacedKeys> {
        let first = self.own_keys + self.file_keys;
        let keys = self.config.sidecar.admission.keys.get(first..)?;
        let origins = self.key_origins.get(first..)?;
        self.has_stored_keys.then(|| (keys.to_vec(), origins.to_vec()))
    }

    fn add_stored(&mut self, stored: Option<PlacedKeys>) {
        self.has_stored_keys = stored.is_some();
        let (keys, origins) = stored.unwrap_or_default();
        self.config.sidecar.admission.keys.extend(keys);
        self.key_origins.extend(origins);
    }
}
