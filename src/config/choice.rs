//! Settings whose values are words.

use tracing::Level;

use super::LogFormat;
use crate::{
    proxy::UnknownV1, request_log::Logged, scheduler::FairBy, shaping::OpenAiUsage, store::OnFailure,
    upstream::Policy,
};

/// A type whose values are written as one word each.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const OPTIONS: &'static [(&'static str, Self)];
}

impl Choice for LogFormat {
    const OPTIONS: &'static [(&'static str, Self)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

impl Choice for Level {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
}

impl Choice for Logged {
    const OPTIONS: &'static [(&'static str, Self)] =
        &[("off", Logged::Off), ("all", Logged::All), ("failed", Logged::Failed), ("slow", Logged::Slow)];
}

impl Choice for UnknownV1 {
    const OPTIONS: &'static [(&'static str, Self)] =
        &[("generation", UnknownV1::Generation), ("other", UnknownV1::Other)];
}

impl Choice for Policy {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("round-robin", Policy::RoundRobin),
        ("least-busy", Policy::LeastBusy),
        ("model-aware", Policy::ModelAware),
    ];
}

impl Choice for FairBy {
    const OPTIONS: &'static [(&'static str, Self)] = &[("caller", FairBy::Caller), ("none", FairBy::None)];
}

impl Choice for OnFailure {
    const OPTIONS: &'static [(&'static str, Self)] =
        &[("local", OnFailure::Local), ("open", OnFailure::Open), ("closed", OnFailure::Closed)];
}

impl Choice for OpenAiUsage {
    const OPTIONS: &'static [(&'static str, Self)] = &[
        ("off", OpenAiUsage::Off),
        ("inject", OpenAiUsage::Inject),
        ("inject-and-strip", OpenAiUsage::InjectAndStrip),
    ];
}

pub(super) fn names<T: Choice>() -> Vec<&'static str> {
    T::OPTIONS.iter().map(|(name, _)| *name).collect()
}

pub(super) fn name<T: Choice>(value: T) -> &'static str {
    T::OPTIONS
        .iter()
        .find(|(_, option)| *option == value)
        .map(|(name, _)| *name)
        .expect("every value has a name")
}

/// Sets the option that `word` names. Another word changes nothing, but [`Field::set`] rejects such words.
pub(super) fn choose<T: Choice>(place: &mut T, word: &str) {
    if let Some((_, option)) = T::OPTIONS.iter().find(|(name, _)| *name == word) {
        *place = *option;
    }
}
