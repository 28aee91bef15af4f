//! The metrics of the sidecar.

use std::{collections::BTreeSet, net::SocketAddr};

/// One scrape.
#[derive(Debug)]
pub(crate) struct Reading {
    resident: f64,
    descriptors: f64,
    threads: f64,
    tasks: f64,
    pub(crate) label_values: BTreeSet<String>,
    pub(crate) counted: u64,
    pub(crate) in_flight: u64,
    pub(crate) panics: u64,
    pub(crate) reloads_fine: bool,
}

impl Reading {
    pub(crate) async fn take(admin: SocketAddr) -> Reading {
        let answer = reqwest::get(format!("http://{admin}/metrics")).await.unwrap();
        let page = answer.text().await.unwrap();
        let series = page.lines().filter(|line| !line.starts_with('#'));
        // The bounds of buckets are numbers of the program itself.
        let labels = series.filter_map(|line| line.split_once('{')?.1.rsplit_once('}')).map(|split| split.0);
        let values = labels.flat_map(|labels| labels.split(',')).filter(|label| !label.starts_with("le="));
        Reading {
            resident: sum(&page, "process_resident_memory_bytes") / f64::from(1 << 20),
            descriptors: sum(&page, "process_open_fds"),
            threads: sum(&page, "process_threads"),
            tasks: sum(&page, "streamgauge_runtime_live_tasks"),
            label_values: values.map(str::to_owned).collect(),
            // Not by model, since the series of a model end when another model takes its label.
            counted: sum(&page, "streamgauge_caller_requests_total") as u64,
            in_flight: sum(&page, "streamgauge_requests_in_flight") as u64,
            panics: sum(&page, "streamgauge_panics_total") as u64,
            reloads_fine: sum(&page, "streamgauge_config_last_reload_success") == 1.0,
        }
    }

    /// In the order of the bounds.
    pub(crate) fn values(&self) -> [f64; 5] {
        [self.resident, self.descriptors, self.threads, self.tasks, self.label_values.len() as f64]
    }
}

/// The sum of a family over all of its series.
fn sum(page: &str, family: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.strip_prefix(family));
    let own = lines.filter(|rest| rest.starts_with(['{', ' ']));
    own.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
