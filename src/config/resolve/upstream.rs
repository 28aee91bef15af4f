//! An upstream as far as it could be read.

use url::Url;

use super::super::{
    certificate, entry,
    mistake::{Mistake, SettingPlace},
};
use crate::{tls::Trust, upstream::StreamLimit};

/// An upstream, as far as it could be read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) place: SettingPlace,
    pub(super) name: Option<String>,
    pub(super) url: Option<Url>,
    pub(super) tls: Option<Trust>,
    pub(super) max_streams: Option<StreamLimit>,
    pub(super) min_tokens_per_second: Option<u32>,
    pub(super) weight: Option<usize>,
}

impl Entry {
    /// Parses `[NAME=]URL`.
    pub(super) fn parse(text: &str, place: &SettingPlace, mistakes: &mut Vec<Mistake>) -> Entry {
        let (name, url) = entry::split_flag(text);
        if let Some(Err(problem)) = name.map(entry::check_name) {
            mistakes.push(problem.at(place.clone(), "upstream.name"));
        }
        let url = entry::parse_url(url)
            .map_err(|problem| mistakes.push(problem.at(place.clone(), "upstream.url")))
            .ok();
        Entry::new(name, url, place.clone(), mistakes)
    }

    /// Parses `[NAME=]URL` separated by commas. An empty text has no entries.
    pub(super) fn list(text: &str, place: &SettingPlace, mistakes: &mut Vec<Mistake>) -> Vec<Entry> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| Entry::parse(entry, place, mistakes)).collect()
    }

    /// The limit of its streams.
    pub(super) fn stream_limit(&self) -> Option<StreamLimit> {
        let min_tokens_per_second = self.min_tokens_per_second;
        Some(match self.max_streams? {
            StreamLimit::Auto { .. } => StreamLimit::Auto { min_tokens_per_second },
            fixed @ StreamLimit::Fixed(_) => fixed,
        })
    }

    pub(super) fn new(
        name: Option<&str>,
        url: Option<Url>,
        place: SettingPlace,
        mistakes: &mut Vec<Mistake>,
    ) -> Entry {
        let files = certificate::Files::default();
        let tls = url.as_ref().and_then(|url| files.trust(url, &place, mistakes));
        Entry {
            place,
            name: name.map(str::to_owned),
            url,
            tls,
            max_streams: None,
            min_tokens_per_second: None,
            weight: None,
        }
    }
}
