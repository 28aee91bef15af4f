//! From what was written to the settings of each stage, or to every mistake in it.

mod file;
mod syntax;

use std::collections::BTreeMap;

use url::Url;

use super::{
    Config, certificate, clash, entry,
    field::Given,
    mistake::{Mistake, Mistakes, Place, Problem},
    setting::{self, SETTINGS, VARIABLE_PREFIX},
    source::Sources,
    suggest,
};
use crate::{tls::Trust, upstream::UpstreamConfig};

/// The settings, and where each was written.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// Where a key was last set; a key that is not here has its default.
    pub(super) origins: BTreeMap<&'static str, Place>,
    /// Where each upstream was written; empty if none was.
    pub(super) upstream_origins: Vec<Place>,
    /// Where each key was written.
    pub(super) key_origins: Vec<Place>,
}

/// Puts the layers over each other. Every layer is judged, a value that a higher one hides too.
pub(super) fn resolve(sources: &Sources, mut mistakes: Vec<Mistake>) -> Result<Resolved, Mistakes> {
    let mut resolved = Resolved::default();
    let upstreams = match &sources.file {
        Some((path, text)) => file::apply(&mut resolved, path, text, &mut mistakes),
        None => Vec::new(),
    };
    for (name, value) in &sources.environment {
        apply_variable(&mut resolved, name, value, &mut mistakes);
    }
    for (key, value) in &sources.flags.settings {
        let setting = setting::find(key).expect("a flag names a setting");
        let place = Place::Flag(setting.flag.unwrap_or("").to_owned());
        resolved.set(setting, place, Given::Text(value), &mut mistakes);
    }
    let from_flags: Vec<_> =
        sources.flags.upstreams.iter().map(|text| Entry::from_flag(text, &mut mistakes)).collect();
    resolved.set_upstreams(if from_flags.is_empty() { upstreams } else { from_flags });

    // What clashes with a value that could not be read is not known yet.
    if mistakes.is_empty() {
        clash::find(&resolved, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(resolved) } else { Err(Mistakes(mistakes)) }
}

impl Resolved {
    fn set(
        &mut self,
        setting: &'static setting::Setting,
        place: Place,
        given: Given<'_>,
        out: &mut Vec<Mistake>,
    ) {
        match setting.field.set(&mut self.config, given) {
            Ok(()) => {
                self.origins.insert(setting.key, place);
            }
            Err(problem) => out.push(problem.at(place, setting.key)),
        }
    }

    fn set_upstreams(&mut self, entries: Vec<Entry>) {
        let mut upstreams = Vec::new();
        for (position, entry) in entries.into_iter().enumerate() {
            // One without a URL is a mistake already.
            let Some(url) = entry.url else { continue };
            let name = entry.name.unwrap_or_else(|| entry::default_name(position));
            let Entry { tls, max_streams, weight, .. } = entry;
            upstreams.push(UpstreamConfig { name, url, tls, max_streams, weight: weight.unwrap_or(1) });
            self.upstream_origins.push(entry.place);
        }
        if !upstreams.is_empty() {
            self.config.agent.upstream.upstreams = upstreams;
        }
    }
}

/// An upstream as far as it could be read.
#[derive(Debug)]
struct Entry {
    place: Place,
    name: Option<String>,
    url: Option<Url>,
    tls: Option<Trust>,
    max_streams: Option<usize>,
    weight: Option<usize>,
}

impl Entry {
    fn from_flag(text: &str, mistakes: &mut Vec<Mistake>) -> Entry {
        let place = Place::Flag("--upstream".to_owned());
        let (name, url) = entry::split_flag(text);
        if let Some(Err(problem)) = name.map(entry::check_name) {
            mistakes.push(problem.at(place.clone(), "upstream.name"));
        }
        let url = entry::parse_url(url)
            .map_err(|problem| mistakes.push(problem.at(place.clone(), "upstream.url")))
            .ok();
        let files = certificate::Files::default();
        let tls = url.as_ref().and_then(|url| files.trust(url, &place, mistakes));
        Entry { place, name: name.map(str::to_owned), url, tls, max_streams: None, weight: None }
    }
}

fn apply_variable(resolved: &mut Resolved, name: &str, value: &str, mistakes: &mut Vec<Mistake>) {
    let place = Place::Environment(name.to_owned());
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
        return resolved.set(setting, place, Given::Text(value), mistakes);
    }
    let advice = if name.starts_with(&format!("{VARIABLE_PREFIX}UPSTREAM__")) {
        "upstreams are set by the file or by --upstream".to_owned()
    } else if name.starts_with(&format!("{VARIABLE_PREFIX}KEY__")) {
        "keys are set by the file".to_owned()
    } else {
        let known: Vec<_> = SETTINGS.iter().map(setting::Setting::variable).collect();
        suggest::among(name, known.iter().map(String::as_str)).map_or_else(
            || format!("names that begin with {VARIABLE_PREFIX} are ours: take it away"),
            suggest::did_you_mean,
        )
    };
    mistakes.push(Problem::new("there is no such variable", advice).at(place, ""));
}
