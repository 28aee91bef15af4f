//! The configuration that the command line sets.

use std::path::PathBuf;

/// The configuration that the command line sets.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file; `None`: no file.
    pub file: Option<PathBuf>,
    /// `[NAME=]URL` of each upstream. If there is one, the upstreams of the environment and of the file are
    /// ignored.
    pub upstreams: Vec<String>,
    /// The keys that flags set, and their values.
    pub settings: Vec<(&'static str, String)>,
}
