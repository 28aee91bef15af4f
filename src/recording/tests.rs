//! A recorder whose sink fails or stalls.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::Registry;

use super::*;
use crate::meter::{self, Facts, Meter, Outcome};

const LONG: Duration = Duration::from_secs(60);

/// A sink with room for some generations.
#[derive(Clone)]
struct Disk(Arc<Mutex<(usize, usize)>>);

impl Disk {
    fn new(room: usize) -> Disk {
        Disk(Arc::new(Mutex::new((0, room))))
    }
}

impl StreamSink for Disk {
    fn write(&mut self, _: &RecordedStream) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.0 == disk.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.0 += 1;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<Stored> {
        let disk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Stored { bytes: disk.0 as u64, removed: 0 })
    }
}

fn open(disk: &Disk) -> (Registry, Recorder) {
    let registry = Registry::new();
    let recorder = Recorder::start(&registry, Config::default(), Some(Box::new(disk.clone()))).unwrap();
    (registry, recorder)
}

fn ends(meter: &Meter, recorder: &Recorder, path: &str) {
    let mut measurement = meter.start(Facts::new("POST", path));
    recorder.observe(&mut measurement);
    measurement.finish(Outcome::Complete);
}

fn meter() -> Meter {
    Meter::register(&Registry::new(), &meter::Config::default(), &["gpu0"]).unwrap()
}

fn count(registry: &Registry, result: &str) -> f64 {
    let scrape = crate::metric::Scrape::take(registry);
    scrape.find("recording_streams_total").sum(|series| series.label("result") == result)
}

#[tokio::test]
async fn only_generations_are_recorded_and_what_the_disk_refuses_is_counted() {
    let (meter, disk) = (meter(), Disk::new(3));
    let (registry, recorder) = open(&disk);
    for _ in 0..5 {
        ends(&meter, &recorder, "/api/chat");
        ends(&meter, &recorder, "/api/tags");
        ends(&meter, &recorder, "/api/embed");
    }
    recorder.flush(LONG).await;
    assert_eq!((count(&registry, "written"), count(&registry, "failed")), (3.0, 2.0));
    assert_eq!(crate::metric::Scrape::take(&registry).find("recording_bytes").sum(|_| true), 3.0);
}

#[tokio::test]
async fn stalled_disk_delays_nobody_and_its_lost_generations_are_counted() {
    let (meter, disk) = (meter(), Disk::new(usize::MAX));
    let stalled = disk.0.lock().unwrap();
    let (registry, recorder) = open(&disk);
    // The queue has room for 1024, and one more may have left it already.
    for _ in 0..1024 + 100 {
        ends(&meter, &recorder, "/api/generate");
    }
    let dropped = count(&registry, "dropped");
    assert!((99.0..=100.0).contains(&dropped), "{dropped}");
    drop(stalled);
}

#[test]
fn recorder_without_sink_keeps_no_chunk() {
    let meter = meter();
    let recorder = Recorder::start(&Registry::new(), Config::default(), None).unwrap();
    let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
    recorder.observe(&mut measurement);
    assert!(measurement.live().take_chunks().is_none());
}
