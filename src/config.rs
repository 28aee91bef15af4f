//! What the user writes: file, environment, flags.
