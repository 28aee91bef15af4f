//! The limit that `max_streams = "auto"` finds for a real Ollama.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    answer::post,
    ollama::{MODEL, Ollama},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// The clients, more than any number of slots here.
const CLIENTS: usize = 8;
/// The time for the limit to settle, and the time for which it is observed then.
const SETTLES: Duration = Duration::from_secs(180);
const OBSERVED: Duration = Duration::from_secs(60);

/// Sends requests from all clients until it is dropped.
struct Demand {
    stops: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Demand {
    fn start(url: &str) -> Demand {
        let stops = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (stops, url) = (stops.clone(), url.to_owned());
            move || {
                for request in 0_u64.. {
                    if stops.load(Relaxed) {
                        return;
                    }
                    let prompt = format!("Tell story {request} of {number}.");
                    let ask = json!({"model": MODEL, "prompt": prompt, "options": {"num_predict": 24}});
                    post(&url, "/api/generate", &ask);
                }
            }
        };
        let clients = (0..CLIENTS).map(|number| thread::spawn(client(number))).collect();
        Demand { stops, clients }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.stops.store(true, Relaxed);
        for client in self.clients.drain(..) {
            // A client that failed has failed the test by its sidecar's counts.
            let _ = client.join();
        }
    }
}

fn limit(sidecar: &Sidecar) -> usize {
    sidecar.sum("stream_limit", &[]) as usize
}

/// The limits that were seen, and when each was seen first.
fn limits(sidecar: &Sidecar, began: Instant, span: Duration) -> Vec<(u64, usize)> {
    let end = Instant::now() + span;
    let mut seen: Vec<(u64, usize)> = Vec::new();
    while Instant::now() < end {
        let now = limit(sidecar);
        if seen.last().is_none_or(|(_, last)| *last != now) {
            seen.push((began.elapsed().as_secs(), now));
        }
        thread::sleep(Duration::from_millis(250));
    }
    seen
}

fn automatic_limit_settles_at_the_slots_or_where_throughput_peaks_below(version: Version) {
    for parallel in [1, 2, 4] {
        let ollama = Ollama::start(version, parallel);
        let upstream =
            format!("[[upstream]]\nname = \"real\"\nurl = \"{}\"\nmax_streams = \"auto\"\n", ollama.url);
        let sidecar = Sidecar::of(&upstream, []);
        assert_eq!(limit(&sidecar), 4);
        let demand = Demand::start(&sidecar.url);
        let began = Instant::now();
        let on_the_way = limits(&sidecar, began, SETTLES);
        let settled = limits(&sidecar, began, OBSERVED);
        drop(demand);
        let streams = sidecar.page("/streams").text();
        println!("{version}, {parallel} slots: {on_the_way:?}, then {settled:?}; {streams}");
        // A stream above the limit may find a slot by chance. The limit is then corrected when streams wait.
        let most = settled.iter().map(|(_, limit)| *limit).max().unwrap();
        assert!(most <= parallel + 1, "{settled:?} at {parallel} slots");
        let last = settled.last().unwrap().1;
        if last < parallel {
            let reason = |name: &str| sidecar.sum("stream_limit_reason", &[&format!("reason=\"{name}\"")]);
            let by_throughput = reason("throughput") + reason("probe") + reason("raised");
            assert_eq!(by_throughput, 1.0, "{settled:?} at {parallel} slots: {streams}");
        }
    }
}

on_every_ollama! {
    automatic_limit_settles_at_the_slots_or_where_throughput_peaks_below,
}
