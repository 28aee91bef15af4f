//! Where finished requests are reported: the request log, the recording of live traffic, and the traces.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    proxy::Stages,
    recording::{BoxedSink, Recorder},
    request_log::{RequestLog, Sink},
    traces::Traces,
};

/// The time to write the last lines of the request log, and the last rows of the recording.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The destinations of the request log, if it is not stderr, and of the recording.
#[derive(Default)]
pub(super) struct Sinks {
    pub(super) requests: Option<Sink>,
    pub(super) recording: Option<BoxedSink>,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sinks").field(&self.requests.is_some()).field(&self.recording.is_some()).finish()
    }
}

/// The reports that have to be finished when the sidecar ends.
#[derive(Debug)]
pub(super) struct Reports {
    request_log: RequestLog,
    recorder: Recorder,
    /// `None`: no request is traced.
    pub(super) traces: Option<Arc<Traces>>,
}

impl Reports {
    pub(super) fn of(stages: &Stages) -> Reports {
        let Stages { request_log, recorder, traces, .. } = stages.clone();
        Reports { request_log, recorder, traces }
    }

    /// Waits until what is known is reported, but not for long.
    pub(super) async fn flush(&self) {
        self.request_log.flush(LAST_LINES).await;
        self.recorder.flush(LAST_LINES).await;
        if let Some(traces) = &self.traces {
            traces.flush().await;
        }
    }
}
