//! All collectors together: on, off, failing, hanging.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, mpsc},
};

use tokio::time::Instant;

use super::{gpu::*, *};

fn scrape(registry: &Registry) -> String {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

/// Waits until another thread or task has produced the line.
async fn until(registry: &Registry, line: &str) -> String {
    let began = Instant::now();
    loop {
        let text = scrape(registry);
        if text.lines().any(|shown| shown == line) {
            return text;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no {line} in\n{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn all(config: Config) -> Collectors {
    let loaded = Loaded {
        upstream: "gpu0".to_owned(),
        model: "m:latest".to_owned(),
        size: Some(1),
        vram: Some(1),
        context_length: Some(1),
        expires_at: None,
    };
    Collectors::new(config)
        .runtime("main", Handle::current())
        .models(move || vec![loaded.clone()], |_| true)
        .gpu(FakeReader::new(1))
        .process()
}

const NAMES: [&str; 5] = ["gpu", "lag", "models", "process", "runtime"];

#[tokio::test]
async fn collectors_all_read_and_report_up() {
    let registry = Registry::new();
    let collectors = all(Config::default()).register(&registry).unwrap();
    let running = tokio::spawn(collectors.run());
    for name in NAMES {
        let up = format!(r#"streamgauge_collector_up{{collector="{name}"}} 1"#);
        let text = until(&registry, &up).await;
        assert!(text.contains(&format!(r#"streamgauge_collector_seconds{{collector="{name}"}} "#)), "{text}");
    }
    let text = scrape(&registry);
    for some in
        ["gpu_power_watts", "runtime_lag_seconds", "model_loaded", "runtime_workers", "task_polls_total"]
    {
        assert!(
            text.contains(&format!("\nstreamgauge_{some}{{")) || text.contains(&format!("_{some}_count")),
            "{some}"
        );
    }
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
    running.abort();
}

#[tokio::test]
async fn collector_that_is_off_shows_nothing() {
    type Off = fn(&mut Config);
    let cases: [(&str, &str, Off); 5] = [
        ("gpu", "streamgauge_gpu_", |config| config.gpu = None),
        ("lag", "streamgauge_runtime_lag_", |config| config.lag = None),
        ("models", "streamgauge_model_", |config| config.models = None),
        ("process", "process_", |config| config.process = None),
        ("runtime", "streamgauge_runtime_workers", |config| config.runtime = None),
    ];
    for (name, prefix, off) in cases {
        let mut config = Config::default();
        off(&mut config);
        let registry = Registry::new();
        let running = tokio::spawn(all(config).register(&registry).unwrap().run());
        let other = if name == "gpu" { "models" } else { "gpu" };
        let text = until(&registry, &format!(r#"streamgauge_collector_up{{collector="{other}"}} 1"#)).await;
        assert!(!text.lines().any(|line| line.starts_with(prefix)), "{name}\n{text}");
        assert!(!text.contains(&format!(r#"collector="{name}""#)), "{text}");
        running.abort();
    }
}

/// A driver whose calls hang until the test releases them.
struct Hanging {
    calls: usize,
    release: Mutex<mpsc::Receiver<()>>,
}

impl Reader for Hanging {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        Ok(vec![Identity { label: "0".to_owned(), ..Identity::default() }])
    }

    fn read(&mut self, _: usize, _: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        self.calls += 1;
        if self.calls > 1 {
            let _ = self.release.lock().unwrap().recv_timeout(Duration::from_secs(5));
        }
        sample.power_milliwatts = Some(1_000);
        Ok(())
    }
}

#[tokio::test]
async fn hanging_gpu_driver_delays_no_scrape_and_is_reported_down() {
    let registry = Registry::new();
    let (_release, hung) = mpsc::sync_channel(0);
    let reader = Hanging { calls: 0, release: Mutex::new(hung) };
    let running =
        tokio::spawn(Collectors::new(Config::default()).gpu(reader).register(&registry).unwrap().run());
    until(&registry, r#"streamgauge_collector_up{collector="gpu"} 1"#).await;
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    loop {
        let scraped = Instant::now();
        let text = scrape(&registry);
        slowest = slowest.max(scraped.elapsed());
        if text.contains(r#"streamgauge_collector_up{collector="gpu"} 0"#) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(4), "up while it hangs:\n{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let ended = Instant::now();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(ended.elapsed() < Duration::from_secs(1), "the end waited for the driver");
}

struct Failing(Arc<Mutex<Result<(), CollectError>>>);

impl Collect for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn register(&self, _: &Registry) -> prometheus::Result<()> {
        Ok(())
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        self.0.lock().unwrap().clone()
    }
}

thread_local! {
    static LINES: RefCell<Vec<(tracing::Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Records the lines that each thread logs. It is installed for the whole process. If it were installed for one
/// thread, tracing could cache that nobody reads a line that another thread reached first.
struct Lines;

impl Lines {
    fn note() {
        // Another test may already have installed it.
        let _ = tracing::subscriber::set_global_default(Lines);
    }

    /// Returns the levels of this thread's lines.
    fn here() -> Vec<tracing::Level> {
        LINES.with_borrow(|lines| lines.iter().map(|(level, _)| *level).collect())
    }

    /// Returns the texts of this thread's lines.
    fn texts() -> Vec<String> {
        LINES.with_borrow(|lines| lines.iter().map(|(_, text)| text.clone()).collect())
    }
}

/// The message of an event, without its other fields.
#[derive(Default)]
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        // A thread that ends may log too, and its lines are not needed.
        let _ = LINES.try_with(|lines| lines.borrow_mut().push((*event.metadata().level(), message.0)));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn collector_failure_and_its_end_are_logged_once_each() {
    Lines::note();
    let state = Arc::new(Mutex::new(Ok(())));
    let mut failing = Failing(state.clone());
    let registry = Registry::new();
    let vital = Vitals::register(&registry).unwrap().enter("failing", Duration::from_secs(1));
    let mut read = || {
        for _ in 0..1_000 {
            vital.time(|| failing.collect());
        }
        scrape(&registry).contains("streamgauge_collector_up{collector=\"failing\"} 1")
    };
    assert!(read());
    assert!(Lines::here().is_empty());
    *state.lock().unwrap() = Err(CollectError::Failed("no driver".to_owned()));
    assert!(!read());
    *state.lock().unwrap() = Ok(());
    assert!(read());
    assert_eq!(Lines::here(), [tracing::Level::WARN, tracing::Level::INFO]);
}

#[test]
fn absent_gpu_is_logged_once_as_information() {
    Lines::note();
    let absent = CollectError::Absent("no driver: GPU metrics are off".to_owned());
    let mut failing = Failing(Arc::new(Mutex::new(Err(absent))));
    let registry = Registry::new();
    let vital = Vitals::register(&registry).unwrap().enter("failing", Duration::from_secs(1));
    for _ in 0..1_000 {
        vital.time(|| failing.collect());
    }
    assert!(scrape(&registry).contains("streamgauge_collector_up{collector=\"failing\"} 0"));
    assert_eq!(Lines::here(), [tracing::Level::INFO]);
    assert_eq!(Lines::texts(), ["no driver: GPU metrics are off"]);
}

#[test]
fn collector_before_its_first_reading_is_down_and_nothing_is_logged() {
    Lines::note();
    let registry = Registry::new();
    let _vital = Vitals::register(&registry).unwrap().enter("new", Duration::from_secs(60));
    assert!(scrape(&registry).contains("streamgauge_collector_up{collector=\"new\"} 0"));
    assert!(Lines::here().is_empty());
}
