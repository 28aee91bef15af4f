//! Settings of the recording.

/// Settings of the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// The share of the generations that are recorded, from 0 to 1.
    pub sample_ratio: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { sample_ratio: 1.0 }
    }
}
