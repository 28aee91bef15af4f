//! A mistake in the configuration: what is wrong, where, and what to do.

use std::{fmt, path::PathBuf};

/// The place where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingPlace {
    /// A line of the file, counted from 1.
    File(PathBuf, usize),
    /// A line of the text under a key of the store, counted from 1.
    Store(String, usize),
    /// An environment variable.
    Environment(String),
    /// A flag with its dashes.
    Flag(String),
}

impl fmt::Display for SettingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingPlace::File(path, line) => write!(f, "{}:{line}", path.display()),
            SettingPlace::Store(key, line) => write!(f, "store {key}:{line}"),
            SettingPlace::Environment(name) => write!(f, "environment {name}"),
            SettingPlace::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The place of the wrong value.
    pub place: SettingPlace,
    /// The key of the wrong value. Empty if no key is concerned.
    pub key: String,
    /// The problem.
    pub what: String,
    /// The advice.
    pub advice: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}\n       {}", self.what, self.advice)
    }
}

/// All mistakes, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "error: {mistake}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration"),
            many => write!(f, "{many} mistakes in the configuration"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// A mistake without its place, which the caller adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) advice: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, advice: impl Into<String>) -> Problem {
        Problem { what: what.into(), advice: advice.into() }
    }

    pub(super) fn at(self, place: SettingPlace, key: impl Into<String>) -> Mistake {
        Mistake { place, key: key.into(), what: self.what, advice: self.advice }
    }
}

/// All problems of one value, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl Problems {
    /// Returns `value` if there are no problems.
    pub(super) fn or<T>(problems: Vec<Problem>, value: T) -> Result<T, Problems> {
        if problems.is_empty() { Ok(value) } else { Err(Problems(problems)) }
    }
}
