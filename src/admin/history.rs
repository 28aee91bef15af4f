//! The last hour for the page: the registry is read every ten seconds, and every two while a page is open.
//!
//! The points of the plots have a fixed spacing of ten seconds, so that looking at the page does not change them.

mod mark;
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
use mark::Marks;
use reading::{Reading, SurroundingsReading};
use window::{Point, Window};

/// The interval of readings while a page is open. A reading costs as much as a scrape.
const EVERY: Duration = Duration::from_secs(2);
/// One reading in this many ends the interval of a point, and is taken whether a page is open or not.
const POINT_EVERY: u64 = 5;
/// A page counts as open for this long after its last request.
const LOOKS: Duration = Duration::from_secs(30);
/// The most points that are kept: an hour at one every ten seconds. At 136 bytes each, 48 KiB.
const MOST_POINTS: usize = 360;
/// "Now" is at least this long before the newest reading, since two seconds often have too few samples for a quantile.
const NOW: Duration = Duration::from_secs(10);
/// The most readings that are kept for "now": those of ten seconds at one every two, and one before them.
const MOST_RECENT: usize = 7;
/// The GPUs may be read for the first time this long after the first reading, since a driver takes a while to start.
const GPUS_BEGIN: Duration = Duration::from_secs(60);
/// The range of the figures if the page asks for none.
const RANGE: Duration = Duration::from_secs(600);

/// The readings and points. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first.
    points: VecDeque<Point>,
    /// Points that were dropped before the first of `points`.
    dropped: u64,
    /// The reading at which the interval of the next point begins.
    point_began: Option<Reading>,
    /// Where a range may begin.
    marks: Marks,
    /// The newest readings, oldest first.
    recent: VecDeque<Reading>,
    surroundings: SurroundingsReading,
    /// The totals of the newest reading.
    totals: Totals,
    /// The number of readings.
    readings: u64,
    /// The time of a page's last request.
    asked: Option<Instant>,
    /// The time of the first reading: on the runtime's clock, and in milliseconds since 1970.
    began: Option<(Instant, u64)>,
}

impl History {
    /// Reads the registry at each interval and never ends.
    pub(super) async fn keep(self, registry: Registry, meter: Meter) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0u64.. {
            ticks.tick().await;
            let is_point = tick % POINT_EVERY == 0;
            if is_point || self.is_looked_at() {
                self.read(&registry, &meter, is_point);
            }
        }
    }

    fn is_looked_at(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked.is_some_and(|asked| asked.elapsed() < LOOKS)
    }

    fn read(&self, registry: &Registry, meter: &Meter, is_point: bool) {
        let scrape = Scrape::take(registry);
        let reading = Reading::of(&scrape, running(meter), meter.gaps());
        let (surroundings, totals) = (SurroundingsReading::of(&scrape), Totals::of(&scrape));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(reading, surroundings, totals, is_point);
    }

    /// The page's data: figures of now and of the range, and the points after number `after` of the history that began
    /// at `began`. If `began` differs, the page knew another process and gets all points.
    pub(super) fn render(&self, began: Option<u64>, after: u64, range: Option<u64>) -> Value {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked = Some(Instant::now());
        let began_here = kept.began.map(|(_, unix)| unix);
        let known = if began.is_some() && began == began_here { after } else { 0 };
        let range = range.map_or(RANGE, Duration::from_secs);
        let newest = kept.recent.back();
        let mark = newest.and_then(|newest| kept.marks.nearest(newest.at, range));
        let whole = newest.zip(mark).map(|(newest, mark)| Window::of(&mark.reading, newest));
        json!({
            "began": began_here,
            "readings": kept.readings,
            "range_seconds": range.as_secs(),
            "span_seconds": whole.as_ref().map_or(0.0, |whole| whole.seconds),
            "last": kept.last(),
            "columns": window::COLUMNS,
            "points": kept.points(known),
            "now": kept.now(),
            "window": whole.as_ref().map(Window::figures),
            "gpus": kept.surroundings.cards.iter().map(window::card).collect::<Vec<_>>(),
            "totals": kept.totals.render(),
            "range_totals": mark.map(|mark| kept.totals.since(&mark.totals).render()),
            "missing": whole.as_ref().map(|whole| whole.missing(&kept.surroundings)),
        })
    }
}

/// The number of generations that have not ended.
fn running(meter: &Meter) -> usize {
    meter.live().iter().filter(|one| one.route.generates()).count()
}

impl Kept {
    fn take(&mut self, reading: Reading, surroundings: SurroundingsReading, totals: Totals, is_point: bool) {
        let at = reading.at;
        let (began, _) = *self.began.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (at, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
        });
        if let Some(joules) = reading.joules.filter(|_| at.duration_since(began) <= GPUS_BEGIN) {
            self.begin_energy(joules);
        }
        if is_point {
            if let Some(earlier) = self.point_began.replace(reading.clone()) {
                let point = Window::of(&earlier, &reading).point(at.duration_since(began), &reading);
                if self.points.len() == MOST_POINTS {
                    self.points.pop_front();
                    self.dropped += 1;
                }
                self.points.push_back(point);
            }
            self.marks.add(&reading, &totals);
        }
        if self.recent.len() == MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(reading);
        (self.surroundings, self.totals) = (surroundings, totals);
        self.readings += 1;
    }

    /// Counts energy from its first value on in all readings before it. A range that begins with a reading without
    /// energy would have none.
    fn begin_energy(&mut self, joules: f64) {
        for reading in self.marks.readings_mut().chain(&mut self.recent).chain(&mut self.point_began) {
            reading.joules.get_or_insert(joules);
        }
    }

    /// The number of the newest point, from 1.
    fn last(&self) -> u64 {
        self.dropped + self.points.len() as u64
    }

    /// The points with a number above `after`.
    fn points(&self, after: u64) -> Vec<Value> {
        let known = usize::try_from(after.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.points.iter().skip(known).map(|point| json!(point)).collect()
    }

    /// The newest point of "now", which ends at the newest reading, wherever the intervals of the plots end.
    fn now(&self) -> Option<Point> {
        let (newest, (began, _)) = (self.recent.back()?, self.began?);
        let mut before = self.recent.range(..self.recent.len() - 1).rev();
        let first = before.clone().next_back();
        let earlier = before.find(|one| newest.at - one.at >= NOW).or(first)?;
        Some(Window::of(earlier, newest).point(newest.at.duration_since(began), newest))
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

    /// The pairs (seconds, tokens per second) of some points.
    fn rates(rendered: &Value) -> Vec<(f64, f64)> {
        let points = rendered["points"].as_array().unwrap().iter();
        points.map(|point| rate(rendered, point)).collect()
    }

    fn rate(rendered: &Value, point: &Value) -> (f64, f64) {
        let mut columns = rendered["columns"].as_array().unwrap().iter();
        let column = columns.position(|known| *known == "tokens").unwrap();
        (point[0].as_f64().unwrap(), point[column].as_f64().unwrap())
    }

    fn counter(registry: &Registry) -> Arc<prometheus::Counter> {
        let labels = ["model", "kind"];
        Family::register(registry, "records_total", "Records.", labels, crate::metric::counter)
            .unwrap()
            .child(["m", "content"])
    }

    const TEN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn history_keeps_an_hour_and_sends_page_what_it_lacks() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let records = counter(&registry);
        let history = History::default();
        let render = |began, after| history.render(began, after, None);
        assert_eq!(render(None, 0)["points"], json!([]));
        history.read(&registry, &meter, true);
        let began = render(None, 0)["began"].as_u64();
        assert!(began.unwrap() > 1_600_000_000_000, "{began:?}");
        for _ in 0..3 {
            tokio::time::advance(TEN).await;
            records.inc_by(20.0);
            history.read(&registry, &meter, true);
        }
        let all = render(None, 0);
        assert_eq!(rates(&all), [(10.0, 2.0), (20.0, 2.0), (30.0, 2.0)]);
        assert_eq!((all["last"].as_u64(), all["span_seconds"].as_f64()), (Some(3), Some(30.0)));
        assert_eq!(rates(&render(began, 2)), [(30.0, 2.0)]);
        assert_eq!(rates(&render(began, 3)), []);
        // A page that knew another process gets every point. An unknown number gets none.
        assert_eq!(rates(&render(Some(1), 2)).len(), 3);
        assert_eq!(rates(&render(began, u64::MAX)), []);

        for _ in 0..400 {
            tokio::time::advance(TEN).await;
            history.read(&registry, &meter, true);
        }
        let all = render(None, 0);
        assert_eq!((all["last"].as_u64(), rates(&all).len()), (Some(403), MOST_POINTS));
        assert_eq!(render(began, 402)["points"].as_array().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn history_points_are_the_same_whether_a_page_is_open_or_not() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let records = counter(&registry);
        let [unseen, seen] = [History::default(), History::default()];
        for tick in 0..31u64 {
            let is_point = tick % POINT_EVERY == 0;
            seen.read(&registry, &meter, is_point);
            if is_point {
                unseen.read(&registry, &meter, true);
            }
            tokio::time::advance(EVERY).await;
            records.inc_by(if tick < 7 { 100.0 } else { 3.0 });
        }
        let (unseen, seen) = (unseen.render(None, 0, None), seen.render(None, 0, None));
        assert_eq!(rates(&unseen), rates(&seen));
        assert_eq!(rates(&seen)[..3], [(10.0, 50.0), (20.0, 20.9), (30.0, 1.5)]);
        assert_eq!((unseen["readings"].as_u64(), seen["readings"].as_u64()), (Some(7), Some(31)));
        assert_eq!(unseen["window"]["tokens"], seen["window"]["tokens"]);
    }

    #[tokio::test(start_paused = true)]
    async fn history_now_is_the_last_ten_seconds() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let records = counter(&registry);
        let history = History::default();
        history.read(&registry, &meter, true);
        assert_eq!(history.render(None, 0, None)["now"], json!(null));
        for tick in 1..10u64 {
            tokio::time::advance(EVERY).await;
            records.inc_by(if tick < 4 { 1000.0 } else { 4.0 });
            history.read(&registry, &meter, tick % POINT_EVERY == 0);
        }
        let page = history.render(None, 0, None);
        assert_eq!(rate(&page, &page["now"]), (18.0, 2.0));
        // Without a page, the last two readings are ten seconds apart.
        for _ in 0..2 {
            tokio::time::advance(TEN).await;
            records.inc_by(50.0);
            history.read(&registry, &meter, true);
        }
        let page = history.render(None, 0, None);
        assert_eq!(rate(&page, &page["now"]), (38.0, 5.0));
    }

    #[tokio::test(start_paused = true)]
    async fn history_range_covers_figures_and_tables_alike() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let history = History::default();
        // One request at each ten seconds of two hours, all by one model.
        for _ in 0..720 {
            history.read(&registry, &meter, true);
            drop(meter.start(Facts::new("POST", "/api/chat")));
            tokio::time::advance(TEN).await;
        }
        history.read(&registry, &meter, true);
        for (range, requests) in [(60, 6.0), (600, 60.0), (3600, 360.0)] {
            let page = history.render(None, 0, Some(range));
            let span = page["span_seconds"].as_f64().unwrap();
            assert!((span - range as f64).abs() <= 30.0, "{range}: {span}");
            let ended = page["window"]["outcomes"]["client_abort"].as_f64().unwrap();
            assert!((ended - requests).abs() <= 3.0, "{range}: {ended}");
            assert_eq!(page["range_totals"]["models"][0]["requests"], ended, "{range}");
            assert_eq!(page["totals"]["models"][0]["requests"], 720.0);
        }
        assert!(history.0.lock().unwrap().marks.len() <= 70);
    }

    #[tokio::test(start_paused = true)]
    async fn history_names_limits_of_a_caller_in_totals_and_in_every_range() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let labels = ["caller", "outcome"];
        let requests =
            Family::register(&registry, "caller_requests_total", "Requests.", labels, crate::metric::counter)
                .unwrap()
                .child(["alice", "refused"]);
        let labels = ["caller", "kind"];
        Family::register(&registry, "caller_limit_per_second", "Limits.", labels, crate::metric::gauge)
            .unwrap()
            .child(["alice", "requests"])
            .set(0.5);
        let history = History::default();
        history.read(&registry, &meter, true);
        tokio::time::advance(TEN).await;
        requests.inc_by(3.0);
        history.read(&registry, &meter, true);
        let page = history.render(None, 0, Some(60));
        for table in ["totals", "range_totals"] {
            let alice = &page[table]["callers"][0];
            assert_eq!(alice["limits_per_second"], serde_json::json!({ "requests": 0.5 }), "{table}");
            assert_eq!(alice["refused"], 3.0, "{table}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn history_points_have_the_shares_of_failed_and_refused_requests() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let requests =
            Family::register(&registry, "requests_total", "Requests.", ["outcome"], crate::metric::counter)
                .unwrap();
        let history = History::default();
        history.read(&registry, &meter, true);
        tokio::time::advance(TEN).await;
        for (outcome, count) in [("complete", 1.0), ("refused", 6.0), ("truncated", 1.0)] {
            requests.child([outcome]).inc_by(count);
        }
        history.read(&registry, &meter, true);
        let page = history.render(None, 0, None);
        let column = |name: &str| {
            let at = page["columns"].as_array().unwrap().iter().position(|known| known == name).unwrap();
            page["points"][0][at].as_f64()
        };
        assert_eq!((column("failed"), column("refused")), (Some(0.125), Some(0.75)));
    }

    #[tokio::test(start_paused = true)]
    async fn history_counts_energy_from_the_first_reading_of_the_gpus() {
        let (registry, meter) = (Registry::new(), metered(&Registry::new()));
        let history = History::default();
        history.read(&registry, &meter, true);
        let family =
            |name, labels| Family::register(&registry, name, "Help.", labels, crate::metric::counter);
        let energy = family("gpu_energy_joules_total", ["gpu", "source"]).unwrap().child(["0", "counter"]);
        energy.inc_by(1000.0);
        tokio::time::advance(EVERY).await;
        history.read(&registry, &meter, false);
        family("tokens_total", ["model", "kind"]).unwrap().child(["m", "output"]).inc_by(40.0);
        energy.inc_by(20.0);
        tokio::time::advance(EVERY).await;
        history.read(&registry, &meter, false);
        assert_eq!(history.render(None, 0, None)["window"]["joules_per_token"], 0.5);
    }

    #[tokio::test(start_paused = true)]
    async fn history_samples_more_often_while_page_is_open() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let history = History::default();
        let taken = || history.0.lock().unwrap().readings;
        tokio::spawn(history.clone().keep(registry, meter));
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(taken(), 7, "one every ten seconds, and that at the start");
        history.render(None, 0, None);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(taken(), 17);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(taken(), 27, "ten seconds after 20 of looking, and 50 without");
    }

    #[tokio::test(start_paused = true)]
    async fn history_figures_equal_registry_and_missing_ones_have_a_reason() {
        let registry = Registry::new();
        let meter = metered(&registry);
        let make = || Histogram::new(buckets::LAG);
        let lag = Family::register(&registry, "runtime_lag_seconds", "Lag.", ["runtime"], make).unwrap();
        let history = History::default();
        history.read(&registry, &meter, true);
        let nothing = history.render(None, 0, None);
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
        let queue_wait = Family::register(&registry, "queue_wait_seconds", "Waits.", ["priority"], || {
            Histogram::new(buckets::LAG)
        })
        .unwrap();
        queue_wait.child(["normal"]).observe(0.0004);
        lag.child(["main"]).observe(0.0004);
        // The lag of another runtime does not delay streams, so it does not count.
        lag.child(["admin"]).observe(0.5);
        drop(meter.start(Facts::new("POST", "/api/chat")));
        tokio::time::advance(EVERY).await;
        history.read(&registry, &meter, true);
        let page = history.render(None, 0, None);
        assert_eq!(
            (&page["window"]["lag"]["count"], &page["window"]["queue_wait"]["count"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(page["window"]["lag"]["p99"].as_f64().map(|p99| (p99 * 1e5).round()), Some(50.0));
        assert_eq!(page["window"]["outcomes"]["client_abort"], 1.0);
        assert!(page["missing"]["lag"].is_null() && page["missing"]["outcomes"].is_null(), "{page}");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the meter reads the machine's clock")]
    async fn history_gap_quantiles_are_within_a_tenth() {
        let registry = Registry::new();
        let (meter, history) = (metered(&registry), History::default());
        history.read(&registry, &meter, true);
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
        history.read(&registry, &meter, true);
        let page = history.render(None, 0, None);
        for quantile in ["p50", "p99"] {
            let shown = page["window"]["gap"][quantile].as_f64().unwrap();
            assert!((shown / gap - 1.0).abs() <= 0.1, "{quantile}: {shown} for {gap}");
        }
    }
}
