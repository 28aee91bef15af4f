//! What the command line says about the configuration.

use std::path::PathBuf;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The file to read; none: no file.
    pub file: Option<PathBuf>,
    /// `[NAME=]URL` of each upstream; any replaces those of the environment and of the file.
    pub upstreams: Vec<String>,
    /// The values given by flags, by the key they set.
    pub settings: Vec<(&'static str, String)>,
}
