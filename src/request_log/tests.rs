//! A log whose sink fails, stalls or tears lines.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use super::*;
use crate::meter::{self, Facts, Meter, Outcome};

const LONG: Duration = Duration::from_secs(60);

/// A sink with room for some bytes.
#[derive(Clone)]
struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

impl Disk {
    fn new(room: usize) -> Disk {
        Disk(Arc::new(Mutex::new((Vec::new(), room))))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = bytes.len().min(disk.1);
        if length == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.1 -= length;
        disk.0.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ends(log: &RequestLog, outcome: Outcome) {
    let meter = Meter::register(&Registry::new(), &meter::Config::default(), &["gpu0"]).unwrap();
    let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
    if let Some(take) = log.taker() {
        measurement.on_end(take);
    }
    measurement.finish(outcome);
}

fn open(requests: Logged, format: LineFormat, disk: &Disk) -> (Registry, RequestLog) {
    let registry = Registry::new();
    let sink: Sink = Box::new(disk.clone());
    let log = RequestLog::start(&registry, Config { requests, format }, Some(sink)).unwrap();
    (registry, log)
}

fn count(registry: &Registry, result: &str) -> f64 {
    let scrape = crate::metric::Scrape::take(registry);
    scrape.find("request_log_lines_total").sum(|series| series.label("result") == result)
}

#[tokio::test]
async fn line_is_an_object_in_json_and_fields_in_text() {
    let disk = Disk::new(10_000);
    let (_, log) = open(Logged::All, LineFormat::Json, &disk);
    ends(&log, Outcome::Truncated);
    log.flush(LONG).await;
    let object: serde_json::Value = serde_json::from_str(&disk.text()).unwrap();
    assert_eq!((&object["route"], &object["outcome"]), (&"chat".into(), &"truncated".into()));
    assert_eq!(object["reason"], "the stream ended without its last record");
    assert!(object.get("ttft_s").is_none() && object["duration_s"].is_number(), "{object}");

    let disk = Disk::new(10_000);
    let (_, log) = open(Logged::All, LineFormat::Text, &disk);
    ends(&log, Outcome::Complete);
    log.flush(LONG).await;
    let text = disk.text();
    assert!(text.contains("Z  INFO streamgauge::request: finished id=\""), "{text}");
    assert!(text.contains(" route=\"chat\" model=") && !text.contains("reason="), "{text}");
}

#[tokio::test]
async fn only_wanted_requests_are_logged() {
    for (requests, wanted) in [(Logged::All, 3), (Logged::Failed, 1), (Logged::Slow, 1)] {
        let disk = Disk::new(10_000);
        let (_, log) = open(requests, LineFormat::Json, &disk);
        for outcome in [Outcome::Complete, Outcome::ClientError, Outcome::InBandError] {
            ends(&log, outcome);
        }
        log.flush(LONG).await;
        assert_eq!(disk.text().lines().count(), wanted, "{requests:?}");
    }
    let (registry, log) = open(Logged::Off, LineFormat::Json, &Disk::new(0));
    assert!(log.taker().is_none());
    assert_eq!(count(&registry, "written"), 0.0);
}

#[tokio::test]
async fn full_disk_costs_only_counted_lines_and_tears_no_later_line() {
    let disk = Disk::new(20);
    let (registry, log) = open(Logged::All, LineFormat::Json, &disk);
    for _ in 0..3 {
        ends(&log, Outcome::Complete);
    }
    log.flush(LONG).await;
    assert_eq!((count(&registry, "failed"), count(&registry, "written")), (3.0, 0.0));
    disk.0.lock().unwrap().1 = 10_000;
    ends(&log, Outcome::Complete);
    log.flush(LONG).await;
    assert_eq!((count(&registry, "failed"), count(&registry, "written")), (3.0, 1.0));
    let text = disk.text();
    let [torn, whole] = &text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(torn.len(), 20);
    assert!(serde_json::from_str::<serde_json::Value>(whole).is_ok(), "{whole}");
}

#[test]
fn stalled_sink_delays_nobody_and_its_lost_lines_are_counted() {
    let disk = Disk::new(usize::MAX);
    let stalled = disk.0.lock().unwrap();
    let (registry, log) = open(Logged::All, LineFormat::Json, &disk);
    let many = WAITING + 100;
    let ending = {
        let meter = Meter::register(&Registry::new(), &meter::Config::default(), &["gpu0"]).unwrap();
        let (tell, told) = sync_channel(1);
        let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
        measurement.on_end(move |ending| tell.send(ending.clone()).unwrap());
        measurement.finish(Outcome::Complete);
        told.recv().unwrap()
    };
    for _ in 0..many {
        log.taker().unwrap()(&ending);
    }
    // One more line may have left the queue already.
    let dropped = count(&registry, "dropped");
    assert!((99.0..=100.0).contains(&dropped), "{dropped}");
    drop(stalled);
}
