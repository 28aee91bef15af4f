//! The image and the compose files: their text, and their behaviour in a real Docker engine.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]
#![expect(clippy::print_stdout, reason = "a test says how long things took")]

mod containers;
mod engine;
mod files;
mod project;
// Several test programs use this file.
#[path = "../shared/wait.rs"]
mod wait;
