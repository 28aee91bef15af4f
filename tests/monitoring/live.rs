//! Every query of every panel, on a real Prometheus that has scraped a sidecar with traffic.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{
    contract::{Kind, METRICS, look_up},
    manual,
    page::{dashboards, recorded, rules},
    promql,
    stack::{Servers, Stack, scrape},
};

/// Families that this test cannot produce, with the reason. Only these may be absent.
pub(crate) const ABSENT: &[(&str, &str)] = &[
    ("streamgauge_config_last_reload_", "reloading"),
    ("streamgauge_keys_last_reload_", "reloading"),
    ("streamgauge_shared_", "a store of shared limits, which fleet.rs has"),
    ("streamgauge_trace_", "an endpoint of traces, which tests/proxy has"),
    ("streamgauge_recording_", "a folder of recordings, which tests/cli has"),
];

/// Fewer slots than streams, so that some requests wait, limits that no caller reaches, a closed route, and shaping that
/// delays and merges.
pub(crate) const SETTINGS: &str = "max_streams = \"auto\"\n[access]\nroutes = [\"generate\", \"chat\", \"openai\"]\n\
                        anonymous = { requests = \"100000/min\", tokens = \"1000000/min\" }\n\
                        [shaping]\npace = 80\ncoalesce = { delay = \"20ms\" }";

/// The trace of the traffic.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The seconds in which that many streams decoded.
async fn decoded(admin: &str, streams: u8) -> f64 {
    let line = format!("streamgauge_concurrency_seconds_total{{upstream=\"sim\",streams=\"{streams}\"}} ");
    let exposition = scrape(admin).await;
    let value = exposition.lines().find_map(|found| found.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("no {line} in\n{exposition}")).parse().unwrap()
}

/// Sends every kind of request that the panels show to the sidecar with these two addresses.
pub(crate) async fn traffic(proxy: &str, admin: &str) {
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{proxy}{path}");
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let ask = async |path: &str, body: Value, fault: &str| {
        let request = client.post(url(path)).header("x-simulate-fault", fault).header("traceparent", &parent);
        let request = request.json(&body);
        // A fault may break it off, which is intended.
        if let Ok(response) = request.send().await {
            let _ = response.bytes().await;
        }
    };
    let messages = json!([{"role": "user", "content": "why is the sky blue"}]);
    let chat = json!({"model": "sim", "messages": messages});
    let openai = json!({"model": "sim", "messages": messages, "stream": true, "stream_options": {"include_usage": true}});
    // Alone first and then in pairs, ten seconds of each for the recorded series, since the concurrency curve needs
    // both.
    while decoded(admin, 1).await < 12.0 {
        ask("/api/chat", chat.clone(), "").await;
    }
    while decoded(admin, 2).await < 12.0 {
        futures_util::join!(ask("/api/chat", chat.clone(), ""), ask("/api/chat", chat.clone(), ""));
    }
    let end = Instant::now() + Duration::from_secs(25);
    while Instant::now() < end {
        let hang_up = async {
            let body =
                client.post(url("/api/generate")).json(&json!({"model": "sim", "prompt": "x"})).send().await;
            let _ = body.unwrap().bytes_stream().next().await;
        };
        futures_util::join!(
            ask("/api/chat", chat.clone(), ""),
            ask("/v1/chat/completions", openai.clone(), ""),
            ask("/api/chat", chat.clone(), "truncate"),
            ask("/api/chat", chat.clone(), "error"),
            ask("/api/generate", json!({"model": "nobody", "prompt": "x"}), ""),
            ask("/v1/messages", chat.clone(), ""),
            hang_up,
        );
    }
}

/// The families behind a query, including those of recorded series.
fn families(expr: &str) -> BTreeSet<String> {
    let (recorded, rules) = (recorded(), rules("prometheus/rules/recording.yml"));
    let mut found = BTreeSet::new();
    for selector in promql::read(expr).selectors {
        match rules.iter().find(|rule| rule["record"] == selector.name.as_str()) {
            Some(rule) => found.extend(families(rule["expr"].as_str().unwrap())),
            None => found.extend(look_up(&selector.name, &recorded).map(|known| known.family)),
        }
    }
    found
}

/// Families, each with its kind and the labels of its series.
pub(crate) type Scraped = Vec<(String, String, BTreeSet<String>)>;

/// The families of a scrape by their `# TYPE` lines, each with its kind and the labels of its series.
pub(crate) fn scraped(exposition: &str) -> Scraped {
    let typed = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let series: Vec<_> = exposition
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| promql::read(line.rsplit_once(' ').unwrap().0).selectors)
        .collect();
    let labels = |family: &str| {
        let parts = [family.to_owned(), format!("{family}_bucket")];
        let own = series.iter().filter(|one| parts.contains(&one.name)).flat_map(|one| &one.matchers);
        own.map(|(label, _)| label.clone()).filter(|label| label != "le").collect()
    };
    typed.map(|(family, kind)| (family.to_owned(), kind.to_owned(), labels(family))).collect()
}

/// The scraped families equal the contract, in kind and in labels.
fn keeps_the_contract(scraped: &Scraped) {
    for (family, kind, labels) in scraped.iter().filter(|(family, ..)| family.starts_with("streamgauge_")) {
        let known = METRICS.iter().find(|(name, ..)| family.strip_prefix("streamgauge_") == Some(name));
        let (_, known, own) = known.unwrap_or_else(|| panic!("{family} is in no contract"));
        assert_eq!(kind, known.word(), "{family}");
        assert_eq!(*labels, own.iter().map(|label| (*label).to_owned()).collect(), "{family}");
    }
}

fn is_in(absent: &[(&str, &str)], family: &str) -> bool {
    absent.iter().any(|(prefix, _)| family.starts_with(prefix))
}

/// Every panel has data for the first of these instances that has the families of its query. Only panels of the families
/// `absent` may have none.
pub(crate) async fn panels_have_data(
    servers: &Servers,
    instances: &[(&str, &Scraped)],
    absent: &[(&str, &str)],
) {
    let there = |family: &str, scraped: &Scraped| {
        ["up", "ALERTS"].contains(&family) || scraped.iter().any(|(name, ..)| name == family)
    };
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let families = families(&query.expr);
            let has_all = |scraped: &Scraped| families.iter().all(|family| there(family, scraped));
            let Some((instance, _)) = instances.iter().find(|(_, scraped)| has_all(scraped)) else {
                let excused = families.iter().any(|family| is_in(absent, family));
                assert!(excused, "{}: not all scraped: {families:?}", query.place);
                continue;
            };
            // The rates cover the traffic, even on a machine on which the queries take minutes.
            let expr = dashboard.filled(&query.expr, instance, "10m", "15m");
            // Faults of a GPU are shown only if they happened.
            let expr = expr.strip_suffix(" > 0").unwrap_or(&expr);
            // Recorded series lag behind by a round, so that a first answer may be empty.
            servers.has_data(&query.place, expr).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus; tests/real/install.sh"]
async fn metrics_and_panels_have_data_under_traffic() {
    everything_has_data("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus; tests/real/install.sh"]
async fn metrics_panels_and_exemplars_have_data_in_openmetrics() {
    let stack = everything_has_data("[metrics]\nopenmetrics = true").await;
    // Only OpenMetrics has this spelling in both versions.
    let bound = "streamgauge_request_duration_seconds_bucket{le=\"5.0\"";
    let data = stack.query(&format!("{bound}, instance=\"{}\"}}", stack.admin)).await;
    assert!(!data.is_empty(), "it was not scraped in OpenMetrics");
    for (histogram, at) in [
        ("request_duration_seconds", ""),
        ("time_to_first_token_seconds", ""),
        ("chunk_gap_seconds", "at=\"upstream\""),
        ("chunk_gap_seconds", "at=\"client\""),
    ] {
        let series = format!("streamgauge_{histogram}_bucket{{{at}}}");
        for found in stack.servers.exemplars(&series).await {
            assert!(!found.is_empty(), "no exemplar of {series}");
            for exemplar in found {
                assert_eq!(exemplar["labels"]["trace_id"], TRACE, "{series}: {exemplar}");
            }
        }
    }
}

async fn everything_has_data(more: &str) -> Stack {
    let simulate = ["--model", "sim", "--tokens", "40", "--rate", "100"];
    let stack = Stack::start(&simulate, &format!("{SETTINGS}\n{more}"), None, true).await;
    traffic(&stack.proxy, &stack.admin).await;

    // GPU metrics are queried for the demo with its fake GPU.
    let demo = stack.demo.clone().unwrap();
    let mut instances = Vec::new();
    for admin in [&stack.admin, &demo] {
        let scraped = scraped(&scrape(admin).await);
        keeps_the_contract(&scraped);
        instances.push((admin, scraped));
    }
    for (name, kind, _) in METRICS {
        let family = format!("streamgauge_{name}");
        let series = if *kind == Kind::Histogram { format!("{family}_count") } else { family.clone() };
        let data = stack.query(&format!("count({series})")).await;
        assert!(!data.is_empty() || is_in(ABSENT, &family), "Prometheus has no {series}");
    }

    for (place, query) in manual::queries() {
        stack.servers.has_data(&place, &query).await;
    }

    let instances: Vec<_> =
        instances.iter().map(|(instance, scraped)| (instance.as_str(), scraped)).collect();
    panels_have_data(&stack.servers, &instances, ABSENT).await;
    stack
}
