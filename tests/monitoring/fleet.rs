//! Three sidecars with shared limits in one Prometheus: the variables of the dashboards, and values of all of them together.

use std::{collections::BTreeSet, process::Command};

use futures_util::future::join_all;
use serde_json::Value;

use super::{
    live::{SETTINGS, panels_have_data, scraped, traffic},
    process::{Process, cache, scratch},
    stack::{Servers, pair, scrape, until},
};

/// Families that this fleet does not have, with the reason.
const ABSENT: &[(&str, &str)] = &[
    ("streamgauge_config_last_reload_", "reloading"),
    ("streamgauge_keys_last_reload_", "reloading"),
    ("streamgauge_gpu_", "a GPU"),
    ("streamgauge_trace_", "an endpoint of traces"),
    ("streamgauge_recording_", "a folder of recordings"),
];

/// The values of the label `label`, as Grafana's `label_values` reads them.
async fn values(servers: &Servers, series: &str, label: &str) -> BTreeSet<String> {
    let found = servers.query(&format!("group by ({label}) ({series})")).await;
    found.iter().map(|series| series["metric"][label].as_str().unwrap().to_owned()).collect()
}

/// The only value of a query, once there is one.
async fn value(servers: &Servers, expr: &str) -> f64 {
    let read = async || {
        let found: Vec<Value> = servers.query(expr).await;
        let [series] = &found[..] else { return None };
        series["value"][1].as_str()?.parse().ok().filter(|value: &f64| !value.is_nan())
    };
    until(read, || format!("not one value: {expr}\n{}", servers.log())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Redis; tests/real/install.sh"]
async fn dashboards_show_one_sidecar_or_all_of_a_fleet() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name);
    let socket = path("store.sock").display().to_string();
    let mut redis = Command::new(cache("bin/redis-server"));
    redis.args(["--port", "0", "--save", "", "--unixsocket", &socket]).current_dir(folder.path());
    let redis = Process::start(&mut redis, path("store.log"));
    redis.find(|line| line.contains("ready to accept connections").then_some(()));
    let settings = format!("{SETTINGS}\n[shared]\nurl = \"unix://{socket}\"\ndeadline = \"1s\"");
    // Ollamas of different speeds, with the same name.
    let pairs: Vec<_> = ["60", "100", "200"]
        .iter()
        .map(|rate| {
            let simulate = ["--model", "sim", "--tokens", "40", "--rate", rate];
            pair(&folder, &format!("{rate}-"), &simulate, &settings)
        })
        .collect();
    let proxies: Vec<_> = pairs.iter().map(|(_, sidecar)| sidecar.address("proxy=")).collect();
    let admins: Vec<_> = pairs.iter().map(|(_, sidecar)| sidecar.address("admin=")).collect();
    // With labels that the Prometheus Operator adds.
    let target = |(at, admin): (usize, &String)| {
        format!(
            "{{targets: ['{admin}'], labels: {{namespace: 'n', pod: 'ollama-{at}', container: 'streamgauge'}}}}"
        )
    };
    let targets: Vec<_> = admins.iter().enumerate().map(target).collect();
    let job = format!("{{job_name: streamgauge, static_configs: [{}]}}", targets.join(", "));
    let servers = Servers::start(folder.path(), &job, "");
    servers.scraped(3).await;
    join_all(proxies.iter().zip(&admins).map(|(proxy, admin)| traffic(proxy, admin))).await;

    let own = admins.iter().cloned().collect();
    assert_eq!(values(&servers, "streamgauge_build_info", "job").await, ["streamgauge".to_owned()].into());
    assert_eq!(values(&servers, "up{job=~\"streamgauge\"}", "instance").await, own);
    let scraped = scraped(&scrape(&admins[0]).await);
    for instance in [&admins[0], &admins[2], &admins.join("|")] {
        panels_have_data(&servers, &[(instance.as_str(), &scraped)], ABSENT).await;
    }
    all_count_together(&servers, &admins).await;
}

/// The values of all sidecars follow from those of each.
async fn all_count_together(servers: &Servers, admins: &[String]) {
    let of = |metric: &str, exposition: &str| -> f64 {
        let lines = exposition.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    let expositions = join_all(admins.iter().map(|admin| scrape(admin))).await;
    for metric in ["streamgauge_requests_total{", "streamgauge_time_to_first_token_seconds_count{"] {
        let each: f64 = expositions.iter().map(|exposition| of(metric, exposition)).sum();
        assert!(each > 0.0, "{metric}");
        let name = metric.trim_end_matches('{');
        let is_equal = async || (value(servers, &format!("sum({name})")).await == each).then_some(());
        until(is_equal, || format!("{name} is not the sum of all")).await;
    }
    // The slowest Ollama has the longest gaps, 17 ms, and the fastest one the shortest, 5 ms.
    let gap = "streamgauge_chunk_gap_seconds_bucket{at=\"upstream\"}[5m]";
    let each = format!("histogram_quantile(0.99, sum by (instance, le) (rate({gap})))");
    let all = value(servers, "job:streamgauge_chunk_gap_seconds:p99_rate5m").await;
    let (least, most) =
        (value(servers, &format!("min({each})")).await, value(servers, &format!("max({each})")).await);
    assert!(least < most && least <= all && all <= most, "{least} {all} {most}");
    // The simulated Ollamas do not slow down, so two streams make twice the tokens of one, at each of them.
    let pairs = value(servers, "job_streams:streamgauge_true_speedup:rate1h{streams=\"2\"}").await;
    assert!((1.6..=2.2).contains(&pairs), "{pairs}");
    let all = value(servers, "job:streamgauge_true_speedup:rate1h").await;
    let upstream = value(servers, "job_upstream:streamgauge_true_speedup:rate1h").await;
    assert!((1.0..=6.0).contains(&all) && (all - upstream).abs() < 0.2, "{all} {upstream}");
    // The store decides at all three, and loses nothing.
    for (expr, expected) in [
        ("sum(streamgauge_shared_mode{mode=\"shared\"})", 3.0),
        ("max(streamgauge_shared_sidecars)", 3.0),
        ("sum(streamgauge_shared_charges_lost_total)", 0.0),
        ("count(sum by (instance) (streamgauge_shared_decisions_total{source=\"store\"}) > 0)", 3.0),
        (
            "count(histogram_quantile(0.99, sum by (instance, le) (rate(streamgauge_shared_call_seconds_bucket[5m]))) > 0)",
            3.0,
        ),
    ] {
        assert_eq!(value(servers, expr).await, expected, "{expr}");
    }
}
