//! Starts the collectors: of the runtimes, the models in memory, the GPUs and the process.

use std::{
    fmt, slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::runtime::Handle;

use crate::{
    collector::{self, Collectors, Loaded, gpu::Reader},
    meter::{InMemory, Meter},
    protocol::parse_timestamp,
    proxy::Stages,
    upstream::{self, Upstreams},
};

/// The builder's settings of the collectors.
#[derive(Default)]
pub(super) struct Surroundings {
    /// `None`: NVIDIA's GPUs, if the program was built with the feature `gpu`.
    pub(super) gpus: Option<Box<dyn Reader>>,
    /// Whether the process runs nothing but the sidecar.
    pub(super) process: bool,
}

impl Surroundings {
    /// The collectors of a sidecar. Call it within the runtime that accepts connections.
    pub(super) fn collectors(
        self,
        config: collector::Config,
        runtimes: &[Handle],
        admin: Option<&Handle>,
        stages: &Stages,
    ) -> Collectors {
        let (upstreams, meter, labels) =
            (stages.upstreams.clone(), stages.meter.clone(), stages.meter.clone());
        let mut collectors = Collectors::new(config)
            .models(move || loaded(&upstreams, &meter), move |label| labels.is_model_label(label));
        for (name, handle) in named(runtimes, admin) {
            collectors = collectors.runtime(name, handle);
        }
        if self.process {
            collectors = collectors.process();
        }
        match self.gpus {
            Some(reader) => collectors.gpu(reader),
            #[cfg(feature = "gpu")]
            None => collectors.gpu(collector::gpu::Nvml::new()),
            #[cfg(not(feature = "gpu"))]
            None => collectors,
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Each runtime once, with its name: those of clients are `main`, the admin runtime is `admin`, and the present one
/// is `accept` if it is none of these.
fn named(clients: &[Handle], admin: Option<&Handle>) -> Vec<(&'static str, Handle)> {
    let here = Handle::current();
    let main = if clients.is_empty() { slice::from_ref(&here) } else { clients };
    let all = main.iter().map(|handle| ("main", handle));
    let all = all.chain(admin.map(|handle| ("admin", handle))).chain([("accept", &here)]);
    let mut named = Vec::<(&str, Handle)>::new();
    for (name, handle) in all {
        if named.iter().all(|(_, known)| known.id() != handle.id()) {
            named.push((name, handle.clone()));
        }
    }
    named
}

/// Tells the meter after each probe which models an upstream has in memory, and logs if models lost their label.
pub(super) fn probed(meter: Meter, model_limit: usize) -> impl Fn(&upstream::Upstream) + Send + Sync {
    let told = AtomicU64::new(0);
    move |upstream| {
        let health = upstream.health();
        // The list of an earlier probe does not describe the time of this one.
        if let (Some(loaded), Some(asked), false) = (&health.loaded, health.asked, health.is_loaded_stale) {
            let now = SystemTime::now();
            let models = loaded.iter().map(|one| InMemory {
                name: &one.model,
                context: one.context_length,
                expires_in: one.expires_at.as_deref().and_then(moment).map(|expires| {
                    // An expiry that has passed is that of a model that is in use, or about to leave.
                    expires.duration_since(now).unwrap_or_default()
                }),
            });
            meter.loaded(upstream.name(), asked.into_std(), models);
        }
        if !health.alive {
            meter.upstream_lost(upstream.name());
        }
        let dropped = meter.labels_dropped();
        let before = told.swap(dropped, Relaxed);
        if dropped > before {
            tracing::warn!(
                dropped = dropped - before,
                model_limit,
                "some models lost their metrics to models that were used more recently: raise metrics.model_limit to keep more"
            );
        }
    }
}

/// The models in memory, from the upstreams' last health.
fn loaded(upstreams: &Upstreams, meter: &Meter) -> Vec<Loaded> {
    let of_one = |upstream: &Arc<upstream::Upstream>| {
        let (name, health) = (upstream.name().to_owned(), upstream.health());
        let loaded = health.loaded.iter().flatten();
        loaded.map(|one| labelled(name.clone(), one, meter)).collect::<Vec<_>>()
    };
    upstreams.all().iter().flat_map(of_one).collect()
}

fn labelled(upstream: String, one: &upstream::Loaded, meter: &Meter) -> Loaded {
    Loaded {
        upstream,
        model: meter.model_label(&one.model),
        size: one.size,
        vram: one.vram,
        context_length: one.context_length,
        // A model that stays loaded has an expiry in about 292 years, which does not fit into nanoseconds.
        expires_at: one.expires_at.as_deref().and_then(moment),
    }
}

fn moment(text: &str) -> Option<SystemTime> {
    let nanos = u64::try_from(parse_timestamp(text.as_bytes())?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn names(clients: &[&Runtime], admin: Option<&Runtime>, here: &Runtime) -> Vec<&'static str> {
        let _inside = here.enter();
        let clients: Vec<_> = clients.iter().map(|runtime| runtime.handle().clone()).collect();
        named(&clients, admin.map(Runtime::handle)).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn runtime_is_watched_once_under_its_role() {
        let (one, two, three, four) = (runtime(), runtime(), runtime(), runtime());
        assert_eq!(names(&[], None, &one), ["main"]);
        assert_eq!(names(&[], Some(&two), &one), ["main", "admin"]);
        assert_eq!(names(&[], Some(&one), &one), ["main"]);
        assert_eq!(names(&[&one], None, &one), ["main"]);
        assert_eq!(names(&[&one, &two], Some(&three), &four), ["main", "main", "admin", "accept"]);
    }

    #[test]
    fn model_kept_forever_never_expires_and_invalid_expiry_is_unknown() {
        let in_2025 = moment("2025-11-24T09:15:30.5+01:00").unwrap();
        let since = in_2025.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::from_millis(1_763_972_130_500));
        for never in ["2318-03-07T10:09:08.123Z", "0001-01-01T00:00:00Z", "soon"] {
            assert_eq!(moment(never), None, "{never}");
        }
    }
}
