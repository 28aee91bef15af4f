//! A recording on disk: a folder of CSV files, written during the experiment. docs/reference/recording-format.md has
//! the columns.

mod decimal;
mod environment;
mod file;
mod layout;
mod problem;
mod reader;
mod resume;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use environment::FORMAT;
pub use environment::{Environment, Gpu, LiveTraffic, Machine, Session, Upstream};
pub use problem::Problem;
pub use reader::{ReadError, Recorded, read, read_all, size};
pub use resume::ResumeError;
pub(crate) use resume::{Finished, finished};
pub(crate) use writer::LIVE;
pub use writer::{AgentRow, RunRow, Writer, is_part};
