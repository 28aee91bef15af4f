//! The last ten minutes for the page: readings of the registry every ten seconds, and every two while a page is
//! open.

mod reading;
mod window;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::Registry;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::totals::Totals;
use crate::{meter::Meter, metric::Scrape};
use reading::{Reading, SurroundingsReading};
use window::Window;

/// The interval of readings while a page is open. A reading costs as much as a scrape.
const EVERY: Duration = Duration::from_secs(2);
/// While no page is open, one in this many readings is taken.
const SELDOM: u64 = 5;
/// A page counts as open for this long after its last request.
const LOOKS: Duration = Duration::from_secs(30);
/// Older readings are dropped.
const KEPT: Duration = Duration::from_secs(600);
/// The most readings that are kept: ten minutes at one every two seconds. At 1.8 KiB each, about 550 KiB.
const MOST: usize = 301;
/// Each point of a plot covers this long before it, since two seconds often have too few samples for a quantile.
const SPAN: Duration = Duration::from_secs(10);

/// The readings, oldest first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    readings: VecDeque<Reading>,
    /// Readings that were dropped before the first of `readings`.
    dropped: u64,
    newest: SurroundingsReading,
    /// The totals of the newest reading.
    totals: Totals,
    /// The time of a page's last request.
    asked: Option<Instant>,
    /// The time of the first reading: on the runtime's clock, and in seconds since 1970.
    began: Option<(Instant, u64)>,
}

impl History {
    /// Reads the registry at each interval and never ends.
    pub(super) async fn keep(self, registry: Registry, meter: Meter) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0u64.. {
            ticks.tick().await;
            if tick % SELDOM == 0 || self.is_looked_at() {
                self.read(&registry, &meter);
            }
        }
    }

    fn is_looked_at(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked.is_some_and(|asked| asked.elapsed() < LOOKS)
    }

    fn read(&self, registry: &Registry, meter: &Meter) {
        let scrape = Scrape::take(registry);
        let reading = Reading::of(&scrape, running(meter), meter.gaps());
        let (surroundings, totals) = (SurroundingsReading::of(&scrape), Totals::of(&scrape));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = reading.at;
        kept.began.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (at, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
        });
        while kept.readings.len() == MOST || kept.readings.front().is_some_and(|first| at - first.at > KEPT) {
            kept.readings.pop_front();
            kept.dropped += 1;
        }
        kept.readings.push_back(reading);
        kept.newest = surroundings;
        kept.totals = totals;
    }

    /// The page's data: figures of the whole window, and the points after number `after` of the history that began
    /// at `began`. If `began` differs, the page knew another process and gets all points.
    pub(super) fn render(&self, began: Option<u64>, after: u64) -> Value {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked = Some(Instant::now());
        let began_here = kept.began.map(|(_, unix)| unix);
        let known = if began.is_some() && began == began_here { after } else { 0 };
        let whole = match (kept.readings.front(), kept.readings.back()) {
            (Some(first), Some(last)) => Some(Window::of(first, last)),
            _ => None,
        };
        json!({
            "began": began_here,
            "every_seconds": EVERY.as_secs_f64(),
            "span_seconds": whole.as_ref().map_or(0.0, |whole| whole.seconds),
            "last": kept.last(),
            "columns": window::COLUMNS,
            "points": kept.points(known),
            "window": whole.as_ref().map(Window::figures),
            "gpus": kept.newest.cards.iter().map(window::card).collect::<Vec<_>>(),
            "totals": kept.totals.render(),
            "missing": whole.as_ref().map(|whole| whole.missing(&kept.newest)),
        })
    }
}

/// The number of generations that have not ended.
fn running(meter: &Meter) -> usize {
    meter.live().iter().filter(|one| one.route.generates()).count()
}

impl Kept {
    /// The number of the newest reading, from 0.
    fn last(&self) -> u64 {
        (self.dropped + self.readings.len() as u64).saturating_sub(1)
    }

    /// One point for each reading with a number above `after`. The first reading has no point, since nothing
    /// precedes it.
    fn points(&self, after: u64) -> Vec<Value> {
        let Some((began, _)) = self.began else { return Vec::new() };
        let first = usize::try_from(after.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        let numbers = first.saturating_add(1)..self.readings.len();
        let point = |at: usize| {
            let later = &self.readings[at];
            // The newest reading that is at least `SPAN` old, or else the oldest.
            let mut before = self.readings.range(..at).rev();
            let earlier = before.find(|one| later.at - one.at >= SPAN).unwrap_or(&self.readings[0]);
            let seconds = later.at.duration_since(began).as_secs_f64();
            Window::of(earlier, later).point(seconds, later)
        };
        numbers.map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::StreamExt;

    use super::*;
    use crate::{
        meter::{self, Facts},
        metric::{Family, Histogram, buckets},
    };

    fn metered(registry: &Registry) -> Meter {
        Meter::register(registry, &meter::Config::default(), &["gpu0"]).unwrap()
    }

    /// The pairs (seconds, tokens per second) of all points.
    fn rates(rendered: &Value) -> Vec<(f64, f64)> {
        let columns: Vec<_> =
            rendered["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let column = |name| columns.iter().position(|known| *known == name).unwrap();
        let (at, tokens) = (column("seconds"), column("tokens"));
        let points = rendered["points"].as_array().unwrap().iter();
        points.map(|point| (point[at].as_f64().unwrap(), point[tokens].as_f64().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn history_keeps_ten_minutes_and_sends_page_what_it_lacks() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let records = Family::register(
            &registry,
            "records_total",
            "Records.",
            ["model", "kind"],
            crate::metric::counter,
        )
        .unwrap()
        .child(["m", "content"]);
        let history = History::default();
        assert_eq!(history.render(None, 0)["points"], json!([]));
        history.read(&registry, &meter);
        let began = history.render(None, 0)["began"].as_u64();
        assert!(began.unwrap() > 1_600_000_000_000, "{began:?}");
        for _ in 0..3 {
            tokio::time::advance(EVERY).await;
            records.inc_by(20.0);
            history.read(&registry, &meter);
        }
        let all = history.render(None, 0);
        assert_eq!(rates(&all), [(2.0, 10.0), (4.0, 10.0), (6.0, 10.0)]);
        assert_eq!((all["last"].as_u64(), all["span_seconds"].as_f64()), (Some(3), Some(6.0)));
        assert_eq!(rates(&history.render(began, 2)), [(6.0, 10.0)]);
        assert_eq!(rates(&history.render(began, 3)), []);
        // A page that knew another process gets every point. An unknown number gets none.
        assert_eq!(rates(&history.render(Some(1), 2)).len(), 3);
        assert_eq!(rates(&history.render(began, u64::MAX)), []);

        for _ in 0..400 {
            tokio::time::advance(EVERY).await;
            history.read(&registry, &meter);
        }
        let all = history.render(None, 0);
        assert_eq!((all["last"].as_u64(), all["span_seconds"].as_f64()), (Some(403), Some(600.0)));
        let rates = rates(&all);
        assert_eq!((rates.len(), rates[0], rates[299]), (MOST - 1, (208.0, 0.0), (806.0, 0.0)));
        assert_eq!(history.render(began, 402)["points"].as_array().unwrap().len(), 1);
        // The same holds when the registry is read every ten seconds.
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(60)).await;
            history.read(&registry, &meter);
        }
        let all = history.render(None, 0);
        assert_eq!((all["last"].as_u64(), all["span_seconds"].as_f64()), (Some(423), Some(600.0)));
    }

    #[tokio::test(start_paused = true)]
    async fn history_samples_more_often_while_page_is_open() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let history = History::default();
        let taken = || history.0.lock().unwrap().last();
        tokio::spawn(history.clone().keep(registry, meter));
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(taken(), 6, "one every ten seconds, and that at the start");
        history.render(None, 0);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(taken(), 16);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(taken(), 26, "ten seconds after 20 of looking, and 50 without");
    }

    #[tokio::test(start_paused = true)]
    async fn history_figures_equal_registry_and_missing_ones_have_a_reason() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let make = || Histogram::new(buckets::LAG);
        let lag = Family::register(&registry, "runtime_lag_seconds", "Lag.", ["runtime"], make).unwrap();
        let history = History::default();
        history.read(&registry, &meter);
        let nothing = history.render(None, 0);
        for (figure, why) in [
            ("first_token", "No token arrived"),
            ("gap", "No stream had two chunks"),
            ("hidden", "No stream ended"),
            ("curve", "No stream decoded"),
            ("lag", "collectors.lag"),
            ("gpu", "collectors.gpu"),
            ("outcomes", "No request ended"),
        ] {
            let said = nothing["missing"][figure].as_str().unwrap_or_else(|| panic!("{figure}: {nothing}"));
            assert!(said.contains(why), "{figure}: {said}");
        }
        lag.child(["main"]).observe(0.0004);
        // The lag of another runtime does not delay streams, so it does not count.
        lag.child(["admin"]).observe(0.5);
        drop(meter.start(Facts::new("POST", "/api/chat")));
        tokio::time::advance(EVERY).await;
        history.read(&registry, &meter);
        let page = history.render(None, 0);
        assert_eq!(page["window"]["lag"]["count"], 1);
        assert_eq!(page["window"]["lag"]["p99"].as_f64().map(|p99| (p99 * 1e5).round()), Some(50.0));
        assert_eq!(page["window"]["outcomes"]["client_abort"], 1.0);
        assert!(page["missing"]["lag"].is_null() && page["missing"]["outcomes"].is_null(), "{page}");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the meter reads the machine's clock")]
    async fn history_gap_quantiles_are_within_a_tenth() {
        let registry = Registry::new();
        let (meter, history) = (metered(&registry), History::default());
        history.read(&registry, &meter);
        let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
        measurement.upstream_chosen("gpu0");
        measurement.responded(http::StatusCode::OK);
        let (send, mut chunks) = tokio::sync::mpsc::unbounded_channel();
        let arriving = futures_util::stream::poll_fn(move |cx| chunks.poll_recv(cx));
        let mut body = std::pin::pin!(measurement.wrap_stream(Some("application/x-ndjson"), arriving));
        for _ in 0..2 {
            assert!(futures_util::poll!(body.next()).is_pending());
            std::thread::sleep(Duration::from_millis(35));
            send.send(Ok::<_, Infallible>(Bytes::from_static(b"{\"response\":\"a\"}\n"))).unwrap();
            body.next().await.unwrap().unwrap();
        }
        let gap = meter.live()[0].last_gap.unwrap().as_secs_f64();
        drop(send);
        assert!(body.next().await.is_none());
        tokio::time::advance(EVERY).await;
        history.read(&registry, &meter);
        let page = history.render(None, 0);
        for quantile in ["p50", "p99"] {
            let shown = page["window"]["gap"][quantile].as_f64().unwrap();
            assert!((shown / gap - 1.0).abs() <= 0.1, "{quantile}: {shown} for {gap}");
        }
    }
}
