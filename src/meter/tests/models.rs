//! Which models have a label of their own.

use super::*;

#[test]
fn a_million_junk_models_are_other() {
    let bench = bench();
    for junk in 0..1_000_000 {
        let mut measurement = bench.meter.start(Facts::new("POST", "/api/show"));
        measurement.model(&format!("junk{junk}"));
        measurement.responded(StatusCode::NOT_FOUND);
        measurement.finish(Outcome::ClientError);
    }
    let other = "requests_total{model=\"other\",outcome=\"client_error\",route=\"show\",upstream=\"none\"}";
    assert_eq!(bench.value(other), Some(1_000_000.0));
    assert!(!bench.scrape().contains("junk"));
}

#[test]
fn a_pull_of_no_model_takes_no_place_of_one() {
    let bench = bench();
    let pull = |name: &str, last: &'static str| {
        let mut measurement = bench.meter.start(Facts::new("POST", "/api/pull"));
        measurement.model(name);
        measurement.responded(StatusCode::OK);
        let mut body = Box::pin(measurement.wrap_body(NDJSON, script([Data(last)])));
        while let Poll::Ready(Some(_)) = poll(&mut body) {}
    };
    for junk in 0..100 {
        pull(&format!("junk{junk}"), "{\"error\":\"pull model manifest: file does not exist\"}\n");
    }
    pull("real", "{\"status\":\"success\"}\n");
    let of = |model: &str, outcome: &str| {
        bench.value(&format!(
            "requests_total{{model=\"{model}\",outcome=\"{outcome}\",route=\"pull\",upstream=\"none\"}}"
        ))
    };
    assert_eq!(of("other", "in_band_error"), Some(100.0));
    assert_eq!(of("real:latest", "complete"), Some(1.0));
    assert!(!bench.scrape().contains("junk"));
}
