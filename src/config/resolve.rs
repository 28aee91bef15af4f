//! Combines all sources into the settings, or reports every mistake in them.

mod file;
mod further_keys;
mod resolved;
mod syntax;
mod upstream;

use upstream::Entry;

use super::{
    clash, entry,
    field::Given,
    mistake::{Mistake, Mistakes, Problem, SettingPlace},
    ollama_host,
    setting::{self, SETTINGS},
    shared,
    source::{Sources, VARIABLE_PREFIX},
    suggest, traces,
};
use crate::upstream::UpstreamConfig;

pub(crate) use further_keys::{no_stored_keys, renew_keys, renew_stored_keys};
pub(super) use resolved::PlacedKeys;
pub use resolved::Resolved;

/// The variable that sets the upstreams: `[NAME=]URL`, separated by commas.
const UPSTREAM_VARIABLE: &str = "STREAMGAUGE_UPSTREAM";

/// Applies the sources in order. Every value is validated, even if a later source overrides it.
pub(super) fn resolve(sources: &Sources, mut mistakes: Vec<Mistake>) -> Result<Resolved, Mistakes> {
    let mut resolved = Resolved::default();
    let upstreams = match &sources.file {
        Some((path, text)) => file::apply(&mut resolved, path, text, &mut mistakes),
        None => Vec::new(),
    };
    let mut from_environment = Vec::new();
    for (name, value) in &sources.environment {
        if name == UPSTREAM_VARIABLE {
            let place = SettingPlace::Environment(name.clone());
            from_environment = Entry::list(value, &place, &mut mistakes);
        } else {
            apply_variable(&mut resolved, name, value, &mut mistakes);
        }
    }
    for (key, value) in &sources.flags.settings {
        let setting = setting::find(key).expect("a flag names a setting");
        let place = SettingPlace::Flag(setting.flag.unwrap_or("").to_owned());
        resolved.set(setting, place, Given::Text(value), &mut mistakes);
    }
    let flag = SettingPlace::Flag("--upstream".to_owned());
    let from_flags: Vec<_> =
        sources.flags.upstreams.iter().map(|text| Entry::parse(text, &flag, &mut mistakes)).collect();
    if from_flags.is_empty() && !from_environment.is_empty() && !upstreams.is_empty() {
        resolved.warnings.push(format!(
            "{UPSTREAM_VARIABLE} replaces every [[upstream]] of the file, with its max_streams, weight and \
             certificates: unset the variable, or set it to an empty value, to use those of the file"
        ));
    }
    let named = [from_flags, from_environment, upstreams].into_iter().find(|layer| !layer.is_empty());
    match (named, &sources.ollama_host) {
        (Some(entries), _) => resolved.set_upstreams(entries),
        (None, Some(host)) => resolved.take_ollama_host(host, &mut mistakes),
        (None, None) => {}
    }

    if !sources.without_further_keys {
        further_keys::apply(&mut resolved, sources.stored_keys.as_ref(), &mut mistakes);
    }
    // Contradictions with a value that could not be read cannot be found yet.
    if mistakes.is_empty() {
        clash::find(&resolved, &mut mistakes);
        if !sources.without_further_keys {
            clash::find_in_keys(&resolved, &mut mistakes);
        }
        shared::finish(&mut resolved, &mut mistakes);
        traces::finish(&mut resolved, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(resolved) } else { Err(Mistakes(mistakes)) }
}

impl Resolved {
    fn set(
        &mut self,
        setting: &'static setting::Setting,
        place: SettingPlace,
        given: Given<'_>,
        out: &mut Vec<Mistake>,
    ) {
        match setting.field.set(&mut self.config, given) {
            Ok(()) => {
                self.origins.insert(setting.key, place);
            }
            Err(problems) => out.extend(problems.0.into_iter().map(|one| one.at(place.clone(), setting.key))),
        }
    }

    /// Uses `OLLAMA_HOST`, which tells Ollama's own clients the address, if no other source names an upstream.
    fn take_ollama_host(&mut self, value: &str, mistakes: &mut Vec<Mistake>) {
        let place = SettingPlace::Environment(ollama_host::VARIABLE.to_owned());
        let url = match ollama_host::parse(value) {
            None => return,
            Some(Ok(url)) => url,
            Some(Err(problem)) => return mistakes.push(problem.at(place, "")),
        };
        let listen = self.config.sidecar.proxy.listen;
        if clash::reaches(&url, listen) {
            let default = &self.config.sidecar.upstream.upstreams[0].url;
            self.warnings.push(format!(
                "OLLAMA_HOST is ignored: it names this sidecar's own proxy.listen ({listen}), as clients of the \
                 sidecar set it. The upstream is {}; --upstream or STREAMGAUGE_UPSTREAM names another",
                default.as_str().trim_end_matches('/')
            ));
            return;
        }
        let entry = Entry::new(None, Some(url), place, mistakes);
        self.set_upstreams(vec![entry]);
    }

    fn set_upstreams(&mut self, entries: Vec<Entry>) {
        let mut upstreams = Vec::new();
        for (position, entry) in entries.into_iter().enumerate() {
            let max_streams = entry.stream_limit();
            // An entry without a URL has been reported as a mistake.
            let Some(url) = entry.url else { continue };
            let name = entry.name.unwrap_or_else(|| entry::default_name(position));
            let Entry { tls, weight, .. } = entry;
            upstreams.push(UpstreamConfig { name, url, tls, max_streams, weight: weight.unwrap_or(1) });
            self.upstream_origins.push(entry.place);
        }
        if !upstreams.is_empty() {
            self.config.sidecar.upstream.upstreams = upstreams;
        }
    }
}

fn apply_variable(resolved: &mut Resolved, name: &str, value: &str, mistakes: &mut Vec<Mistake>) {
    let place = SettingPlace::Environment(name.to_owned());
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
        return resolved.set(setting, place, Given::Text(value), mistakes);
    }
    let advice = if name.starts_with(&format!("{VARIABLE_PREFIX}UPSTREAM__")) {
        format!("set upstreams with {UPSTREAM_VARIABLE}, --upstream or the file")
    } else if name.starts_with(&format!("{VARIABLE_PREFIX}KEY__")) {
        "set keys in the file, or in `access.keys_file`".to_owned()
    } else {
        let known: Vec<_> = SETTINGS.iter().map(|setting| setting.variable()).collect();
        let known = known.iter().map(String::as_str).chain([UPSTREAM_VARIABLE]);
        // The prefix is left out, since all variables share it and would look alike.
        let (bare, bare_known) = (without_prefix(name), known.map(without_prefix));
        suggest::among(bare, bare_known).map_or_else(
            || format!("remove it: every variable that begins with {VARIABLE_PREFIX} is a setting"),
            |likely| suggest::did_you_mean(&format!("{VARIABLE_PREFIX}{likely}")),
        )
    };
    mistakes.push(Problem::new("unknown variable", advice).at(place, ""));
}

fn without_prefix(variable: &str) -> &str {
    variable.strip_prefix(VARIABLE_PREFIX).unwrap_or(variable)
}
