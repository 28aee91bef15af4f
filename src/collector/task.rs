//! What tasks spend on being polled, and on waiting to be.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use futures_util::future::Either;
use prometheus::Registry;
use tokio_metrics::TaskMonitor;

use crate::metric::{Exposition, Metric, Page};

const POLLS: Metric =
    Metric::counter("streamgauge_task_polls_total", "Polls of the tasks of a kind.", &["task"]);
const POLL_SECONDS: Metric = Metric::counter(
    "streamgauge_task_poll_seconds_total",
    "Time that the tasks of a kind were polled, seconds.",
    &["task"],
);
const SCHEDULED_SECONDS: Metric = Metric::counter(
    "streamgauge_task_scheduled_seconds_total",
    "Time that the tasks of a kind waited for a worker after they were woken, seconds.",
    &["task"],
);

/// A kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Serves a client's connection.
    Connection,
    /// Answers Prometheus and people.
    Admin,
    /// Reads the surroundings.
    Collector,
}

const TASKS: [(Task, &str); 3] =
    [(Task::Connection, "connection"), (Task::Admin, "admin"), (Task::Collector, "collector")];

/// Measures tasks by their kind. The default measures nothing and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Option<[TaskMonitor; 3]>);

impl Tasks {
    /// Registers the metrics of every kind.
    ///
    /// # Errors
    /// The registry has one of the names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Tasks> {
        let monitors = TASKS.map(|_| TaskMonitor::new());
        let state = Arc::new(Mutex::new(monitors.clone()));
        Exposition::register(registry, &[&POLLS, &POLL_SECONDS, &SCHEDULED_SECONDS], state, write)?;
        Ok(Tasks(Some(monitors)))
    }

    /// What measures tasks of this kind, for whoever knows no collector.
    #[must_use]
    pub fn monitor(&self, task: Task) -> Option<TaskMonitor> {
        Some(self.0.as_ref()?[task as usize].clone())
    }

    /// Measures a future that becomes a task of this kind.
    pub fn instrument<F: Future>(&self, task: Task, future: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(monitors) => Either::Left(monitors[task as usize].instrument(future)),
            None => Either::Right(future),
        }
    }
}

fn write(monitors: &[TaskMonitor; 3], page: &mut Page) {
    for (monitor, (_, name)) in monitors.iter().zip(TASKS) {
        let total = monitor.cumulative();
        page.put(&POLLS, &[name], total.total_poll_count as f64);
        page.put(&POLL_SECONDS, &[name], total.total_poll_duration.as_secs_f64());
        page.put(&SCHEDULED_SECONDS, &[name], total.total_scheduled_duration.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn polls_are_counted_for_their_kind_alone() {
        let registry = Registry::new();
        let tasks = Tasks::register(&registry).unwrap();
        let work = tasks.instrument(Task::Admin, async {
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(tokio::spawn(work).await.unwrap(), 7);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("streamgauge_task_polls_total{task=\"admin\"} 2\n"), "{text}");
        assert!(text.contains("streamgauge_task_polls_total{task=\"connection\"} 0\n"), "{text}");
    }

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (place, (task, _)) in TASKS.iter().enumerate() {
            assert_eq!(*task as usize, place);
        }
    }
}
