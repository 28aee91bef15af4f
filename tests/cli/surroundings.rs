//! The metrics of the collectors, as the binary exports them.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a process runs by the clock on the wall"
)]

use std::time::{Duration, Instant};

use super::*;

/// The line of `/metrics` for a series, if there is one.
fn shown(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn up(page: &str, collector: &str) -> Option<f64> {
    shown(page, &format!("streamgauge_collector_up{{collector=\"{collector}\"}}"))
}

#[test]
fn collectors_all_read_and_missing_gpu_is_logged_once() {
    let mut serve = Running::start(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let [_, admin] = serve.addresses();
    let began = Instant::now();
    let ready = |page: &str| {
        // The kernel counts CPU time in steps of 10 ms.
        shown(page, "process_cpu_seconds_total").is_some_and(|cpu| cpu > 0.0)
            && ["lag", "models", "process", "runtime"].iter().all(|name| up(page, name) == Some(1.0))
            && shown(page, "streamgauge_collector_seconds{collector=\"gpu\"}").is_some_and(|took| took > 0.0)
    };
    let page = loop {
        let page = get(&admin, "/metrics");
        // The GPU is tried ten times per second.
        if ready(&page) && began.elapsed() > Duration::from_millis(500) {
            break page;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{page}");
        thread::sleep(Duration::from_millis(20));
    };
    assert!(shown(&page, "streamgauge_runtime_workers{runtime=\"accept\"}").is_some(), "{page}");
    assert_eq!(
        shown(&page, "streamgauge_runtime_unstable_metrics"),
        Some(f64::from(u8::from(cfg!(tokio_unstable))))
    );
    serve.signal("-TERM");
    let (code, log) = serve.end();
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().filter(|line| line.contains("collector")).count();
    // With a GPU, nothing is logged.
    assert_eq!(lines, usize::from(up(&page, "gpu") == Some(0.0)), "{log}");
}
