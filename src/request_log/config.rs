//! Settings of the request log, and its destination.

use std::io::Write;

/// Settings of the request log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The requests that are logged.
    pub requests: Logged,
    /// The format of a line.
    pub format: LineFormat,
}

/// The requests that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logged {
    /// No request.
    #[default]
    Off,
    /// Every request.
    All,
    /// The requests that failed for a reason other than their client.
    Failed,
    /// The requests that failed, and those that were slow.
    Slow,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// The destination of the lines. Each write is one line with its end.
pub(crate) type Sink = Box<dyn Write + Send>;
