//! The models in the upstreams' memory, as the latest health probes reported them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use prometheus::Registry;

use super::{Collect, CollectError};
use streamgauge_meter::metric::{Exposition, Metric, Page};

const LABELS: &[&str] = &["upstream", "model"];
const LOADED: Metric = Metric::gauge(
    "streamgauge_model_loaded",
    "Models in memory under this label: 1 or 0, or more if several models share `other`.",
    LABELS,
);
const SIZE: Metric = Metric::gauge(
    "streamgauge_model_size_bytes",
    "Memory that the model uses, on GPU and CPU, bytes.",
    LABELS,
);
const VRAM: Metric = Metric::gauge(
    "streamgauge_model_vram_bytes",
    "Part of the model's memory that is on a GPU, bytes.",
    LABELS,
);
const CONTEXT: Metric = Metric::gauge(
    "streamgauge_model_context_length",
    "Context length with which the model is loaded, tokens.",
    LABELS,
);
const EXPIRES: Metric = Metric::gauge(
    "streamgauge_model_expires_seconds",
    "Time until the model is unloaded if no request uses it, seconds. Missing for a model that never expires.",
    LABELS,
);

/// The label of models without a label of their own.
const OTHER: &str = "other";
/// The maximum number of labels that show 0 after their model was unloaded. Further ones are removed.
const REMEMBERED: usize = 64;

/// A model in an upstream's memory. A value that Ollama left out is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The upstream's configured name.
    pub upstream: String,
    /// The label of the model.
    pub model: String,
    /// Memory of the model, on GPU and CPU, bytes.
    pub size: Option<u64>,
    /// Part of the memory that is on a GPU, bytes.
    pub vram: Option<u64>,
    /// Context length, tokens.
    pub context_length: Option<u64>,
    /// Time at which Ollama unloads the model if no request uses it.
    pub expires_at: Option<SystemTime>,
}

/// Shows a snapshot that other code maintains. It sends no request to Ollama.
pub struct ModelCollector {
    snapshot: Box<dyn Fn() -> Vec<Loaded> + Send + Sync>,
    shown: Arc<Mutex<ModelsShown>>,
}

type IsLabel = Box<dyn Fn(&str) -> bool + Send + Sync>;

struct ModelsShown {
    loaded: Vec<Loaded>,
    seen: BTreeSet<(String, String)>,
    /// Called at each scrape, because another model can take the label between two readings.
    is_label: IsLabel,
}

impl fmt::Debug for ModelsShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("loaded", &self.loaded)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl ModelCollector {
    /// `is_label` returns whether a label still stands for a model. While it does, the gauge shows 0 after the model
    /// was unloaded. After that the gauge ends. Neither function may block.
    #[must_use]
    pub fn new(
        snapshot: impl Fn() -> Vec<Loaded> + Send + Sync + 'static,
        is_label: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> ModelCollector {
        let shown = ModelsShown { loaded: Vec::new(), seen: BTreeSet::new(), is_label: Box::new(is_label) };
        ModelCollector { snapshot: Box::new(snapshot), shown: Arc::new(Mutex::new(shown)) }
    }
}

impl Collect for ModelCollector {
    fn name(&self) -> &'static str {
        "models"
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let metrics = [&LOADED, &SIZE, &VRAM, &CONTEXT, &EXPIRES];
        Exposition::register(registry, &metrics, self.shown.clone(), |shown, page| {
            shown.write(SystemTime::now(), page);
        })
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        let loaded = (self.snapshot)();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let ModelsShown { seen, is_label, .. } = &mut *shown;
        seen.retain(|(_, model)| is_label(model));
        for one in &loaded {
            if shown.seen.len() < REMEMBERED {
                shown.seen.insert((one.upstream.clone(), one.model.clone()));
            }
        }
        shown.loaded = loaded;
        Ok(())
    }
}

impl fmt::Debug for ModelCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelCollector").field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// The models in memory under one label, summed.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u32,
    size: Option<u64>,
    vram: Option<u64>,
    context: Option<u64>,
    expires: Option<f64>,
}

impl ModelsShown {
    fn write(&self, now: SystemTime, page: &mut Page) {
        let seen = self.seen.iter().filter(|(_, model)| (self.is_label)(model));
        let mut sums: BTreeMap<(&str, &str), Sum> =
            seen.map(|(upstream, model)| ((&**upstream, &**model), Sum::default())).collect();
        for one in &self.loaded {
            let label = if (self.is_label)(&one.model) { &one.model } else { OTHER };
            let sum = sums.entry((&one.upstream, label)).or_default();
            sum.count += 1;
            sum.size = add(sum.size, one.size);
            sum.vram = add(sum.vram, one.vram);
            sum.context = sum.context.max(one.context_length);
            let expires = one.expires_at.map(|at| seconds(now, at));
            sum.expires = expires.into_iter().chain(sum.expires).reduce(f64::min);
        }
        for ((upstream, model), sum) in sums {
            let labels = [upstream, model];
            page.put(&LOADED, &labels, f64::from(sum.count));
            page.put_some(&SIZE, &labels, sum.size.map(|bytes| bytes as f64));
            page.put_some(&VRAM, &labels, sum.vram.map(|bytes| bytes as f64));
            page.put_some(&CONTEXT, &labels, sum.context.map(|tokens| tokens as f64));
            page.put_some(&EXPIRES, &labels, sum.expires);
        }
    }
}

fn add(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).reduce(u64::saturating_add)
}

/// Returns the seconds from `now` to `at`. The value is negative if `at` is in the past.
fn seconds(now: SystemTime, at: SystemTime) -> f64 {
    match at.duration_since(now) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(past) => -past.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn loaded(model: &str, size: u64) -> Loaded {
        Loaded {
            upstream: "gpu0".to_owned(),
            model: model.to_owned(),
            size: Some(size),
            vram: Some(size / 2),
            context_length: None,
            expires_at: None,
        }
    }

    fn read(registry: &Registry) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn model_load_and_unload_are_shown_and_missing_fields_are_not() {
        let registry = Registry::new();
        let snapshot = Arc::new(Mutex::new(vec![loaded("a:latest", 100)]));
        let from = snapshot.clone();
        let mut models = ModelCollector::new(move || from.lock().unwrap().clone(), |_| true);
        models.register(&registry).unwrap();
        assert_eq!(read(&registry), [""; 0]);
        models.collect().unwrap();
        let labels = r#"{upstream="gpu0",model="a:latest"}"#;
        let lines = read(&registry);
        assert_eq!(
            lines,
            [
                format!("streamgauge_model_loaded{labels} 1"),
                format!("streamgauge_model_size_bytes{labels} 100"),
                format!("streamgauge_model_vram_bytes{labels} 50"),
            ]
        );
        snapshot.lock().unwrap().clear();
        models.collect().unwrap();
        assert_eq!(read(&registry).len(), 1);
        assert!(read(&registry)[0].ends_with("} 0"), "{:?}", read(&registry));
    }

    #[test]
    fn models_with_shared_label_add_up_and_show_the_first_expiry() {
        let now = SystemTime::now();
        let mut two = vec![loaded("other", 100), loaded("other", 10)];
        two[0].expires_at = Some(now + Duration::from_secs(300));
        two[1].expires_at = Some(now - Duration::from_secs(3));
        two[1].context_length = Some(4096);
        let registry = Registry::new();
        let shown = ModelsShown { loaded: two, seen: BTreeSet::new(), is_label: Box::new(|_| true) };
        let state = Arc::new(Mutex::new((now, shown)));
        let metrics = [&LOADED, &SIZE, &VRAM, &CONTEXT, &EXPIRES];
        Exposition::register(&registry, &metrics, state, |(now, shown), page| shown.write(*now, page))
            .unwrap();
        let values: Vec<_> =
            read(&registry).iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
        assert_eq!(values, ["4096", "-3", "2", "110", "55"]);
    }

    #[test]
    fn model_gauge_after_unload_ends_with_its_label() {
        let registry = Registry::new();
        let loads = Arc::new(Mutex::new(vec![loaded("a", 1), loaded("b", 1)]));
        let labels = Arc::new(Mutex::new(BTreeSet::from(["a", "b"])));
        let (from, known) = (loads.clone(), labels.clone());
        let mut models = ModelCollector::new(
            move || from.lock().unwrap().clone(),
            move |label| known.lock().unwrap().contains(label),
        );
        models.register(&registry).unwrap();
        models.collect().unwrap();
        labels.lock().unwrap().remove("a");
        // The gauge ends at once, not at the next reading.
        let lines = read(&registry);
        let loaded: Vec<_> = lines.iter().filter(|line| line.contains("_loaded{")).collect();
        assert_eq!(
            loaded,
            [
                r#"streamgauge_model_loaded{upstream="gpu0",model="b"} 1"#,
                r#"streamgauge_model_loaded{upstream="gpu0",model="other"} 1"#,
            ]
        );
        loads.lock().unwrap().clear();
        models.collect().unwrap();
        assert_eq!(read(&registry), [r#"streamgauge_model_loaded{upstream="gpu0",model="b"} 0"#]);
    }

    #[test]
    fn model_labels_that_read_0_are_bounded() {
        let mut models = ModelCollector::new(Vec::new, |_| true);
        for number in 0..200 {
            models.snapshot = Box::new(move || vec![loaded(&format!("m{number}"), 1)]);
            models.collect().unwrap();
        }
        assert_eq!(models.shown.lock().unwrap().seen.len(), REMEMBERED);
    }
}
