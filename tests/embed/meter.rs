//! A program with the meter only, which reads its registry. Built by build.sh.

use std::error::Error;

use prometheus::{Registry, TextEncoder};
use streamgauge_meter::{meter::{self, Facts, Meter, Outcome}, metric::Scrape, protocol::Peek};

fn main() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let meter = Meter::register(&registry, &meter::Config::default(), &["ollama"])?;

    let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
    let peek = Peek::read(br#"{"model":"gemma3:270m","prompt":"Hi"}"#);
    measurement.model_named(peek.model.as_deref().unwrap_or("unknown"));
    measurement.request_read(&peek);
    measurement.upstream_chosen("ollama");
    measurement.live().request_sent();
    let running = Scrape::take(&registry).find("requests_in_flight").sum(|_| true);
    measurement.finish(Outcome::Complete);

    // A gauge, a counter and a histogram, in this program and in the exposition format.
    let scrape = Scrape::take(&registry);
    let ended = scrape.find("requests_total").sum(|series| series.label("outcome") == "complete");
    let durations = scrape.find("request_duration_seconds").buckets(|_| true).count();
    assert_eq!((running, ended, durations), (1.0, 1.0, 1));
    let text = TextEncoder::new().encode_to_string(&registry.gather())?;
    assert!(text.contains("streamgauge_requests_total{"), "{text}");
    Ok(())
}
