//! How long tasks are polled, and how long they wait for a worker.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::Either;
use prometheus::Registry;
use tokio_metrics::TaskMonitor;

use streamgauge_meter::metric::{Exposition, Metric, Page};

const POLLS: Metric =
    Metric::counter("streamgauge_task_polls_total", "Polls of the tasks of a kind.", &["task"]);
const POLL_SECONDS: Metric = Metric::counter(
    "streamgauge_task_poll_seconds_total",
    "Time spent in polls of the tasks of a kind, seconds.",
    &["task"],
);
const SCHEDULED_SECONDS: Metric = Metric::counter(
    "streamgauge_task_scheduled_seconds_total",
    "Time between the wake-up of a task of a kind and its next poll, seconds.",
    &["task"],
);

/// A kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Serves a client's connection.
    Connection,
    /// Answers the admin address.
    Admin,
    /// Runs a collector.
    Collector,
}

const TASKS: [(Task, &str); 3] =
    [(Task::Connection, "connection"), (Task::Admin, "admin"), (Task::Collector, "collector")];

/// Measures tasks by their kind. The default measures nothing and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Option<Arc<Mutex<Monitors>>>);

/// By kind: all monitors of the kind. The first one is for callers that need no monitor of their own.
type Monitors = [Vec<TaskMonitor>; 3];

impl Tasks {
    /// Registers the metrics of every kind.
    ///
    /// # Errors
    /// The registry has one of the names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Tasks> {
        let state = Arc::new(Mutex::new(TASKS.map(|_| vec![TaskMonitor::new()])));
        Exposition::register(registry, &[&POLLS, &POLL_SECONDS, &SCHEDULED_SECONDS], state.clone(), write)?;
        Ok(Tasks(Some(state)))
    }

    /// Returns a monitor of tasks of this kind, for one thread and for code that does not know this crate. A monitor
    /// updates some twenty counters per poll, so threads that shared one would wait for each other. It is kept until
    /// the end.
    #[must_use]
    pub fn monitor(&self, task: Task) -> Option<TaskMonitor> {
        let mut all = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let monitor = TaskMonitor::new();
        all[task as usize].push(monitor.clone());
        Some(monitor)
    }

    /// Instruments a future that becomes a task of this kind.
    pub fn instrument<F: Future>(&self, task: Task, future: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(monitors) => {
                let monitors = monitors.lock().unwrap_or_else(PoisonError::into_inner);
                Either::Left(monitors[task as usize][0].instrument(future))
            }
            None => Either::Right(future),
        }
    }
}

fn write(monitors: &Monitors, page: &mut Page) {
    for (monitors, (_, name)) in monitors.iter().zip(TASKS) {
        let (mut polls, mut polled, mut scheduled) = (0, Duration::ZERO, Duration::ZERO);
        for total in monitors.iter().map(TaskMonitor::cumulative) {
            polls += total.total_poll_count;
            polled += total.total_poll_duration;
            scheduled += total.total_scheduled_duration;
        }
        page.put(&POLLS, &[name], polls as f64);
        page.put(&POLL_SECONDS, &[name], polled.as_secs_f64());
        page.put(&SCHEDULED_SECONDS, &[name], scheduled.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn task_polls_are_counted_only_for_their_kind() {
        let registry = Registry::new();
        let tasks = Tasks::register(&registry).unwrap();
        let work = tasks.instrument(Task::Admin, async {
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(tokio::spawn(work).await.unwrap(), 7);
        let apart = tasks.monitor(Task::Admin).unwrap();
        tokio::spawn(apart.instrument(async {})).await.unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("streamgauge_task_polls_total{task=\"admin\"} 3\n"), "{text}");
        assert!(text.contains("streamgauge_task_polls_total{task=\"connection\"} 0\n"), "{text}");
    }

    #[test]
    fn task_kinds_have_unique_indices() {
        for (place, (task, _)) in TASKS.iter().enumerate() {
            assert_eq!(*task as usize, place);
        }
    }
}
