//! Everything that can be set.

use std::{path::PathBuf, time::Duration};

use http::HeaderMap;
use url::Url;

use crate::{
    request_log::LineFormat,
    sidecar,
    store::{self, OnFailure, Secret, Server},
    tls::Authorities,
    traces,
};

/// The settings of the program.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The settings of the sidecar.
    pub sidecar: sidecar::Config,
    /// The number of threads that serve clients; 0: the number of available cores.
    pub workers: usize,
    /// The settings of the log, which is written to stderr.
    pub log: Log,
    /// The file of the request log. `sidecar.request_log` has the requests that are logged.
    pub requests: RequestSettings,
    /// The settings of the store of shared limits. `sidecar.shared` is made from them.
    pub shared: SharedSettings,
    /// The settings of traces. `sidecar.traces` is made from them.
    pub traces: TracesSettings,
    /// The folder of the recording. `sidecar.recording` has the share of the generations that are recorded.
    pub recording: RecordingSettings,
    /// The file from which the token of the admin address was read.
    pub admin_token_file: Option<String>,
    /// The file with further keys, which are in `sidecar.admission.keys` too.
    pub keys_file: Option<String>,
    /// Whether the store of shared limits has further keys.
    pub keys_store: bool,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of a line.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: tracing::Level,
}

/// The format of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// The settings of the file of the request log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSettings {
    /// The file. `None`: stderr.
    pub file: Option<String>,
    /// The size of a full file.
    pub max_size: usize,
    /// The number of old files that are kept.
    pub old_files: usize,
}

impl Default for RequestSettings {
    fn default() -> RequestSettings {
        RequestSettings { file: None, max_size: 64 << 20, old_files: 4 }
    }
}

/// The settings of the folder of the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSettings {
    /// The folder. `None`: nothing is recorded.
    pub folder: Option<String>,
    /// The most bytes in the folder.
    pub max_size: usize,
    /// Whether the callers are recorded, by pseudonym.
    pub callers: bool,
}

impl Default for RecordingSettings {
    fn default() -> RecordingSettings {
        RecordingSettings { folder: None, max_size: 1 << 30, callers: false }
    }
}

impl From<LogFormat> for LineFormat {
    fn from(format: LogFormat) -> LineFormat {
        match format {
            LogFormat::Text => LineFormat::Text,
            LogFormat::Json => LineFormat::Json,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::default(), level: tracing::Level::INFO }
    }
}

/// The settings of the store, before they are put together.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// The servers, without their verification.
    pub servers: Vec<Server>,
    /// The user.
    pub username: Option<String>,
    /// The file of the password.
    pub password_file: Option<String>,
    /// The variable of the password.
    pub password_env: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The file of the authorities.
    pub ca_file: Option<String>,
    /// The authorities that verify the servers.
    pub authorities: Option<Authorities>,
    /// The number of the database.
    pub database: usize,
    /// The first part of every key.
    pub prefix: String,
    /// The longest wait of a request for the store.
    pub deadline: Duration,
    /// What decides while the store does not answer.
    pub on_failure: OnFailure,
}

impl Default for SharedSettings {
    fn default() -> SharedSettings {
        let usual = store::Config::new(Server::Unix(PathBuf::new()));
        SharedSettings {
            servers: Vec::new(),
            username: usual.username,
            password_file: None,
            password_env: None,
            password: None,
            ca_file: None,
            authorities: None,
            database: 0,
            prefix: usual.prefix,
            deadline: usual.deadline,
            on_failure: usual.on_failure,
        }
    }
}

/// The settings of traces, before they are put together.
#[derive(Clone, Debug)]
pub struct TracesSettings {
    /// The URL of the endpoint, as it was written.
    pub endpoint: Option<String>,
    /// The share of the requests without a parent that are sampled.
    pub sample_ratio: f64,
    /// The attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// The file of the header fields.
    pub headers_file: Option<String>,
    /// The variable of the header fields.
    pub headers_env: Option<String>,
    /// The header fields for the endpoint.
    pub headers: HeaderMap,
    /// The file of the authorities.
    pub ca_file: Option<String>,
    /// The authorities that verify the endpoint.
    pub authorities: Option<Authorities>,
    /// The longest wait of a span for others.
    pub interval: Duration,
    /// The longest time of one request to the endpoint.
    pub timeout: Duration,
    /// The most spans that wait.
    pub queue: usize,
}

impl Default for TracesSettings {
    fn default() -> TracesSettings {
        let usual = traces::Config::new(Url::parse("http://localhost").expect("a constant"));
        TracesSettings {
            endpoint: None,
            sample_ratio: usual.sample_ratio,
            attributes: usual.attributes,
            headers_file: None,
            headers_env: None,
            headers: usual.headers,
            ca_file: None,
            authorities: None,
            interval: usual.interval,
            timeout: usual.timeout,
            queue: usual.queue,
        }
    }
}
