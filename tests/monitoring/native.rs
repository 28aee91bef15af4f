//! Native histograms: Prometheus has the same values as with classic buckets, and every rule and panel has data.

use std::path::Path;

use serde_json::Value;

use super::{
    contract::{Kind, METRICS, NATIVE},
    live::{ABSENT, SETTINGS, panels_have_data, scraped, traffic},
    page::{recorded, rules},
    process::scratch,
    stack::{Servers, pair, scrape, until},
};

/// The ratio of two bounds in a row, of buckets of schema 3.
const STEP: f64 = 1.090_508;

/// The only version that has the setting of a job.
const SERVER: [&str; 1] = ["bin/prometheus-3"];

fn number(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

/// The value of a query with one result.
async fn value(servers: &Servers, expr: &str) -> f64 {
    let found = servers.query(expr).await;
    assert_eq!(found.len(), 1, "{expr}: {found:?}");
    number(&found[0])
}

/// The bounds between which the classic buckets have the quantile.
fn around(buckets: &[Value], q: f64) -> (f64, f64) {
    let bound = |series: &Value| match series["metric"]["le"].as_str().unwrap() {
        "+Inf" => f64::INFINITY,
        le => le.parse().unwrap(),
    };
    let mut counts: Vec<_> = buckets.iter().map(|series| (bound(series), number(series))).collect();
    counts.sort_by(|one, next| one.0.total_cmp(&next.0));
    let rank = q * counts.last().unwrap().1;
    let at = counts.iter().position(|(_, count)| *count >= rank).unwrap();
    (at.checked_sub(1).map_or(0.0, |before| counts[before].0), counts[at].0)
}

/// Three servers that scrape one sidecar: with native buckets of the three histograms, with classic ones, and with both.
struct Scrapers {
    native: Servers,
    classic: Servers,
    both: Servers,
}

impl Scrapers {
    async fn start(folder: &Path, admin: &str) -> Scrapers {
        let start = |name: &str, more: &str| {
            let targets = format!("static_configs: [{{targets: ['{admin}']}}]");
            let job = format!("{{job_name: streamgauge, {more}{targets}}}");
            Servers::start_only(&SERVER, &folder.join(name), &job, "")
        };
        let native = start("native", "scrape_native_histograms: true, ");
        let classic = start("classic", "");
        let both = start("both", "scrape_native_histograms: true, always_scrape_classic_histograms: true, ");
        for servers in [&native, &classic, &both] {
            servers.scraped(1).await;
        }
        Scrapers { native, classic, both }
    }

    /// Every panel and every rule that has data by classic buckets has data by native ones.
    async fn feed_every_rule_and_panel(&self, admin: &str) {
        let scraped = scraped(&scrape(admin).await);
        let absent: Vec<_> = ABSENT.iter().copied().chain([("streamgauge_gpu_", "a GPU")]).collect();
        panels_have_data(&self.native, &[(admin, &scraped)], &absent).await;
        for name in recorded() {
            if !self.classic.query(&name).await.is_empty() {
                self.native.has_data(&name, &name).await;
                self.both.has_data(&name, &name).await;
            }
        }
        let own = |name: &String| name.contains("_gap_") || name.contains("first_token");
        let own: Vec<_> = recorded().into_iter().filter(own).collect();
        assert_eq!(own.len(), 16, "{own:?}");
        for name in &own {
            self.native.has_data(name, name).await;
        }
        // The alerts that read these histograms.
        for alert in ["StreamgaugeHiddenQueue", "StreamgaugeSchedulerLag"] {
            let rules = rules("prometheus/rules/alerts.yml");
            let rule =
                rules.iter().find(|rule| rule["alert"] == alert).unwrap_or_else(|| panic!("no {alert}"));
            let (value, _) = rule["expr"].as_str().unwrap().split_once("\n) >").unwrap();
            self.native.has_data(alert, &format!("{value}\n)")).await;
        }
    }

    /// Both kinds of buckets have the same values. No request is in progress any more.
    async fn agree_about(&self, name: &str) {
        let Scrapers { native, classic, both } = self;
        let family = format!("streamgauge_{name}");
        let buckets = native.query(&format!("{family}_bucket")).await;
        assert!(buckets.is_empty(), "{family} has classic buckets: {buckets:?}");
        assert!(!both.query(&format!("{family}_bucket")).await.is_empty(), "{family}");
        assert!(classic.query(&family).await.is_empty(), "{family} is native");
        let counted = value(classic, &format!("sum({family}_count)")).await;
        let all = format!("histogram_count(sum({family}))");
        until(async || (number(native.query(&all).await.first()?) == counted).then_some(()), || all.clone())
            .await;
        let [summed, expected] = [
            value(native, &format!("histogram_sum(sum({family}))")).await,
            value(classic, &format!("sum({family}_sum)")).await,
        ];
        assert!((summed / expected - 1.0).abs() < 1e-9, "{family}: {summed}, not {expected}");
        let buckets = classic.query(&format!("sum by (le) ({family}_bucket)")).await;
        for q in [0.1, 0.5, 0.9, 0.95, 0.99] {
            let found = value(native, &format!("histogram_quantile({q}, sum({family}))")).await;
            let (low, high) = around(&buckets, q);
            let agrees = (low / STEP..=high * STEP).contains(&found);
            assert!(agrees, "{family}, {q}: {found} is not between {low} and {high}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus; tests/real/install.sh"]
async fn native_histograms_agree_with_classic_ones_and_feed_every_rule_and_panel() {
    let folder = scratch();
    let settings = format!("{SETTINGS}\n[metrics]\nnative_histograms = true\n");
    let simulate = ["--model", "sim", "--tokens", "40", "--rate", "100"];
    let (_simulator, sidecar) = pair(&folder, "", &simulate, &settings);
    let (proxy, admin) = (sidecar.address("proxy="), sidecar.address("admin="));
    let scrapers = Scrapers::start(folder.path(), &admin).await;
    traffic(&proxy, &admin).await;
    scrapers.feed_every_rule_and_panel(&admin).await;
    for name in NATIVE {
        scrapers.agree_about(name).await;
    }
    // All others are as before.
    for (name, kind, _) in METRICS.iter().filter(|(name, ..)| !NATIVE.contains(name)) {
        let series = match kind {
            Kind::Histogram => format!("streamgauge_{name}_bucket"),
            _ => format!("streamgauge_{name}"),
        };
        let count = format!("count({series})");
        let [with, without] = [scrapers.native.query(&count).await, scrapers.classic.query(&count).await];
        assert_eq!(with.first().map(number), without.first().map(number), "{series}");
    }
}
