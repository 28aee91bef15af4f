//! What is measured, and how it is recorded.

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many models have a label of their own; the rest are `other`.
    pub model_limit: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { model_limit: 16 }
    }
}
