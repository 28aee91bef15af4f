//! Compares the values of a driver with the lines of a scrape, field by field.

mod xid;

use std::collections::BTreeMap;

use super::*;

/// The results of a reader, set by the test.
#[derive(Default)]
struct Script {
    opens: Option<Result<Vec<Identity>, CollectError>>,
    samples: BTreeMap<usize, Result<Sample, CollectError>>,
    opened: usize,
    depths: Vec<Depth>,
    xid_errors: Vec<XidReport>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn of(samples: impl IntoIterator<Item = Sample>) -> Scripted {
        let reader = Scripted::default();
        let samples: BTreeMap<_, _> = samples.into_iter().map(Ok).enumerate().collect();
        reader.script().opens = Some(Ok((0..samples.len()).map(identity).collect()));
        reader.script().samples = samples;
        reader
    }
}

impl Reader for Scripted {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        self.script().opened += 1;
        self.script().opens.clone().unwrap()
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        self.script().depths.push(depth);
        *sample = self.script().samples[&position].clone()?;
        Ok(())
    }

    fn xid_errors(&mut self) -> Vec<XidReport> {
        std::mem::take(&mut self.script().xid_errors)
    }
}

fn identity(position: usize) -> Identity {
    Identity {
        label: position.to_string(),
        uuid: Some(format!("GPU-{position}")),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        driver: "580.95.05".to_owned(),
        mig: false,
        xid_errors: true,
    }
}

/// A reading of one real H100.
fn h100() -> Sample {
    Sample {
        utilization_percent: Some(44),
        memory_utilization_percent: Some(12),
        memory: Some(Memory { used: 1_500_000_000, free: 83_000_000_000, total: 85_520_809_984 }),
        power_milliwatts: Some(130_500),
        power_now_milliwatts: None,
        power_limit_milliwatts: Some(700_000),
        energy_millijoules: Some(9_000_001_500),
        temperature_celsius: Some(31),
        clocks: Clocks { graphics: Some(1_980), sm: Some(1_965), memory: Some(2_619), video: Some(1_545) },
        clock_limits: Some(0x4 | 0x40),
        link_generation: Link { current: Some(4), max: Some(5) },
        link_width: Link { current: Some(8), max: Some(16) },
        pcie: Some(Pcie::Counted { transmit: 7_000, receive: 9_000 }),
        pcie_replays: Some(2),
        memory_errors: MemoryErrors {
            corrected: Some(3),
            uncorrected: Some(0),
            corrected_aggregate: Some(40),
            uncorrected_aggregate: Some(1),
            retired_single_bit: None,
            retired_double_bit: None,
            remapped_corrected: Some(0),
            remapped_uncorrected: Some(1),
            is_repair_pending: Some(true),
            has_repair_failed: Some(false),
        },
        processes: vec![("ollama".to_owned(), 1_400_000_000)],
    }
}

struct Stand {
    collector: GpuCollector,
    registry: Registry,
    start: Instant,
}

impl Stand {
    fn new(reader: impl Reader) -> Stand {
        let (collector, registry) = (GpuCollector::new(reader), Registry::new());
        collector.register(&registry).unwrap();
        Stand { collector, registry, start: Instant::now() }
    }

    fn round(&mut self, after_ms: u64) -> Result<(), CollectError> {
        self.collector.round(self.start + Duration::from_millis(after_ms))
    }

    /// Returns every series except buckets, without the prefix of its name.
    fn series(&self) -> BTreeMap<String, f64> {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("streamgauge_gpu_"));
        let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }
}

/// Every field of the fixture, in base units.
const TRANSLATED: &[(&str, f64)] = &[
    (r#"info{gpu="0",uuid="GPU-0",name="NVIDIA H100 80GB HBM3",driver="580.95.05"}"#, 1.0),
    (r#"utilization_ratio{gpu="0"}"#, 0.44),
    (r#"memory_utilization_ratio{gpu="0"}"#, 0.12),
    (r#"memory_used_bytes{gpu="0"}"#, 1_500_000_000.0),
    (r#"memory_free_bytes{gpu="0"}"#, 83_000_000_000.0),
    (r#"memory_total_bytes{gpu="0"}"#, 85_520_809_984.0),
    (r#"power_watts{gpu="0"}"#, 130.5),
    (r#"power_limit_watts{gpu="0"}"#, 700.0),
    (r#"energy_joules_total{gpu="0",source="counter"}"#, 9_000_001.5),
    (r#"temperature_celsius{gpu="0"}"#, 31.0),
    (r#"clock_hertz{gpu="0",domain="graphics"}"#, 1.98e9),
    (r#"clock_hertz{gpu="0",domain="sm"}"#, 1.965e9),
    (r#"clock_hertz{gpu="0",domain="memory"}"#, 2.619e9),
    (r#"clock_hertz{gpu="0",domain="video"}"#, 1.545e9),
    (r#"clock_limit{gpu="0",reason="gpu_idle"}"#, 0.0),
    (r#"clock_limit{gpu="0",reason="sw_power_cap"}"#, 1.0),
    (r#"clock_limit{gpu="0",reason="hw_thermal_slowdown"}"#, 1.0),
    (r#"clock_limit{gpu="0",reason="display_clock_setting"}"#, 0.0),
    (r#"pcie_link_generation{gpu="0",state="current"}"#, 4.0),
    (r#"pcie_link_generation{gpu="0",state="max"}"#, 5.0),
    (r#"pcie_link_width{gpu="0",state="current"}"#, 8.0),
    (r#"pcie_link_width{gpu="0",state="max"}"#, 16.0),
    (r#"pcie_bytes_total{gpu="0",direction="transmit",source="counter"}"#, 7_000.0),
    (r#"pcie_bytes_total{gpu="0",direction="receive",source="counter"}"#, 9_000.0),
    (r#"pcie_replays_total{gpu="0"}"#, 2.0),
    (r#"ecc_errors_total{gpu="0",kind="corrected",counter="volatile"}"#, 3.0),
    (r#"ecc_errors_total{gpu="0",kind="uncorrected",counter="volatile"}"#, 0.0),
    (r#"ecc_errors_total{gpu="0",kind="corrected",counter="aggregate"}"#, 40.0),
    (r#"ecc_errors_total{gpu="0",kind="uncorrected",counter="aggregate"}"#, 1.0),
    (r#"remapped_rows{gpu="0",cause="corrected"}"#, 0.0),
    (r#"remapped_rows{gpu="0",cause="uncorrected"}"#, 1.0),
    (r#"memory_repair{gpu="0",state="pending"}"#, 1.0),
    (r#"memory_repair{gpu="0",state="failed"}"#, 0.0),
    (r#"xid_errors_total{gpu="0",xid="79"}"#, 0.0),
    (r#"process_memory_bytes{gpu="0",process="ollama"}"#, 1_400_000_000.0),
    (r#"busy_seconds_total{gpu="0"}"#, 0.0),
    (r#"utilization_sample_ratio_count{gpu="0"}"#, 1.0),
    (r#"power_sample_watts_sum{gpu="0"}"#, 130.5),
];

#[test]
fn gpu_fields_are_converted_to_base_units() {
    let mut stand = Stand::new(Scripted::of([h100()]));
    stand.round(0).unwrap();
    let series = stand.series();
    for (name, value) in TRANSLATED {
        assert_eq!(series.get(*name), Some(value), "{name}");
    }
    // PCIe 5.0 x16: 63 GB/s each way.
    let max = series[r#"pcie_max_bytes_per_second{gpu="0"}"#];
    assert!((max - 63.0e9).abs() < 0.1e9, "{max}");
    // All nine reasons, whether they apply or not.
    assert_eq!(series.keys().filter(|name| name.starts_with("clock_limit{")).count(), 9);
    // This card remaps rows.
    assert!(!series.keys().any(|name| name.starts_with("retired_pages")), "{series:?}");
}

#[test]
fn gpu_field_that_is_unsupported_is_left_out_alone() {
    type Forget = fn(&mut Sample);
    let cases: &[(&[&str], Forget)] = &[
        (&["utilization_ratio{", "utilization_sample_ratio", "busy_seconds"], |s| {
            s.utilization_percent = None
        }),
        (&["memory_utilization_ratio"], |s| s.memory_utilization_percent = None),
        (&["memory_used", "memory_free", "memory_total"], |s| s.memory = None),
        (&["power_watts", "power_sample"], |s| s.power_milliwatts = None),
        (&["power_limit"], |s| s.power_limit_milliwatts = None),
        (&["temperature"], |s| s.temperature_celsius = None),
        (&[r#"clock_hertz{gpu="0",domain="sm"}"#], |s| s.clocks.sm = None),
        (&["clock_limit"], |s| s.clock_limits = None),
        (&["pcie_bytes"], |s| s.pcie = None),
        (&["pcie_replays"], |s| s.pcie_replays = None),
        (&[r#"ecc_errors_total{gpu="0",kind="corrected",counter="volatile"}"#], |s| {
            s.memory_errors.corrected = None;
        }),
        (&["ecc_errors", "remapped_rows", "memory_repair"], |s| s.memory_errors = MemoryErrors::default()),
        (&["pcie_link_width{gpu=\"0\",state=\"max\"}", "pcie_max_bytes"], |s| s.link_width.max = None),
        (&["process_memory"], |s| s.processes.clear()),
    ];
    let all = {
        let mut stand = Stand::new(Scripted::of([h100()]));
        stand.round(0).unwrap();
        stand.series()
    };
    for (gone, forget) in cases {
        let mut sample = h100();
        forget(&mut sample);
        let mut stand = Stand::new(Scripted::of([sample]));
        stand.round(0).unwrap();
        let left = stand.series();
        for name in all.keys() {
            let expected = !gone.iter().any(|gone| name.starts_with(gone));
            assert_eq!(left.contains_key(name), expected, "{name} without {gone:?}");
        }
    }
}

#[test]
fn gpu_energy_without_counter_is_integrated_over_samples_and_marked() {
    let sample = Sample {
        utilization_percent: Some(50),
        power_milliwatts: Some(200_000),
        pcie: Some(Pcie::Sampled { transmit: 1_000, receive: 2_000 }),
        ..Sample::default()
    };
    let mut stand = Stand::new(Scripted::of([sample]));
    for tick in 0..=20 {
        stand.round(tick * 100).unwrap();
    }
    let series = stand.series();
    let near = |name: &str, value: f64| {
        assert!((series[name] - value).abs() < value * 1e-9, "{name} {} {value}", series[name]);
    };
    near(r#"energy_joules_total{gpu="0",source="integrated"}"#, 400.0);
    near(r#"pcie_bytes_total{gpu="0",direction="transmit",source="integrated"}"#, 2_048_000.0);
    near(r#"pcie_bytes_total{gpu="0",direction="receive",source="integrated"}"#, 4_096_000.0);
    near(r#"busy_seconds_total{gpu="0"}"#, 1.0);
    near(r#"utilization_sample_ratio_count{gpu="0"}"#, 21.0);
}

#[test]
fn gpu_counter_that_fails_briefly_is_not_replaced_by_an_estimate() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    stand.round(0).unwrap();
    let without = Sample { energy_millijoules: None, pcie: None, ..h100() };
    reader.script().samples.insert(0, Ok(without));
    stand.round(100).unwrap();
    let series = stand.series();
    // Its power is added until the counter is read again.
    assert_eq!(series[r#"energy_joules_total{gpu="0",source="counter"}"#], 9_000_001.5 + 13.05);
    assert_eq!(series[r#"pcie_bytes_total{gpu="0",direction="receive",source="counter"}"#], 9_000.0);
    assert!(series.keys().all(|name| !name.contains("integrated")), "{series:?}");
}

/// Watts of an artificial curve, and the seconds that each level lasts.
const CURVE: [(f64, f64); 6] =
    [(72.0, 2.35), (690.0, 3.72), (250.0, 1.18), (690.0, 0.45), (130.0, 4.1), (420.0, 60.0)];

/// Returns the joules of the curve up to `seconds`.
fn planted_energy(seconds: f64) -> f64 {
    let (mut left, mut joules) = (seconds, 0.0);
    for (watts, lasts) in CURVE {
        joules += watts * left.clamp(0.0, lasts);
        left -= lasts;
    }
    joules
}

/// A card whose power follows the curve. Its counter is read only at full depth; its power is the mean over `mean`
/// seconds.
struct Planted {
    seconds: Arc<Mutex<f64>>,
    mean: f64,
    /// Whether it reports its present power as well.
    tells_now: bool,
}

impl Reader for Planted {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        Ok(vec![identity(0)])
    }

    fn read(&mut self, _: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        let now = *self.seconds.lock().unwrap();
        let power =
            |mean: f64| (planted_energy(now) - planted_energy(now - mean)) / mean.min(now.max(0.1)) * 1e3;
        sample.power_milliwatts = Some(power(self.mean) as u32);
        sample.power_now_milliwatts = self.tells_now.then(|| power(0.1) as u32);
        sample.utilization_percent = Some(50);
        if depth == Depth::Full {
            sample.energy_millijoules = Some((planted_energy(now) * 1e3) as u64);
        }
        Ok(())
    }
}

/// Returns the reported energy at each tenth of a second of the curve.
fn told_energy(mean: f64, tells_now: bool) -> Vec<f64> {
    let seconds = Arc::new(Mutex::new(0.0));
    let mut stand = Stand::new(Planted { seconds: seconds.clone(), mean, tells_now });
    let ticks = (0..=180).map(|tick| {
        *seconds.lock().unwrap() = f64::from(tick) / 10.0;
        stand.round(tick as u64 * 100).unwrap();
        stand.series()[r#"energy_joules_total{gpu="0",source="counter"}"#]
    });
    ticks.collect()
}

/// Returns the largest error over any span of `span` tenths of a second, divided by the energy used in that span.
fn worst(told: &[f64], span: usize) -> f64 {
    let errors = (0..told.len() - span).map(|tick| {
        let at = |tick: usize| planted_energy(tick as f64 / 10.0);
        let drawn = at(tick + span) - at(tick);
        ((told[tick + span] - told[tick]) / drawn - 1.0).abs()
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn gpu_energy_follows_a_given_power_curve() {
    // An older card reports its present power. A newer card reports the mean of a second and its present power.
    for told in [told_energy(0.1, false), told_energy(1.0, true)] {
        assert!(told.is_sorted(), "{told:?}");
        // The error is small at any offset of the span from the counter's readings.
        for span in [20, 30, 50, 100] {
            assert!(worst(&told, span) <= 0.02, "{span}: {}", worst(&told, span));
        }
        // When the counter is read, its value replaces the estimate.
        assert_eq!(told[100], (planted_energy(10.0) * 1e3).floor() / 1e3);
    }
    // The mean of a second alone lags behind each jump until the next reading.
    let told = told_energy(1.0, false);
    assert!(told.is_sorted(), "{told:?}");
    for (span, most) in [(30, 0.4), (50, 0.25), (100, 0.07)] {
        assert!(worst(&told, span) <= most, "{span}: {}", worst(&told, span));
    }
}

#[test]
fn gpu_spike_of_one_sample_between_scrapes_is_in_the_histograms() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    for (tick, watts) in [(0, 80), (1, 640), (2, 80)] {
        reader.script().samples.insert(0, Ok(Sample { power_milliwatts: Some(watts * 1_000), ..h100() }));
        stand.round(tick * 100).unwrap();
    }
    let series = stand.series();
    assert_eq!(series[r#"power_watts{gpu="0"}"#], 80.0);
    assert_eq!(series[r#"power_sample_watts_bucket{gpu="0",le="600"}"#], 2.0);
    assert_eq!(series[r#"power_sample_watts_bucket{gpu="0",le="700"}"#], 3.0);
}

#[test]
fn gpu_slow_fields_are_read_once_per_second() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    for tick in 0..20 {
        stand.round(tick * 100).unwrap();
    }
    let script = reader.script();
    assert_eq!(script.depths.iter().filter(|depth| **depth == Depth::Full).count(), 2);
    assert_eq!(script.depths.len(), 20);
}

#[test]
fn gpu_driver_that_is_absent_is_retried_rarely_and_found_later() {
    let reader = Scripted::of([h100()]);
    reader.script().opens = Some(Err(CollectError::Failed("no driver".to_owned())));
    let mut stand = Stand::new(reader.clone());
    for tick in 0..95 {
        assert_eq!(stand.round(tick * 100), Err(CollectError::Failed("no driver".to_owned())));
    }
    assert_eq!(reader.script().opened, 1);
    assert!(stand.series().is_empty());
    let rest = stand.collector.rest().unwrap();
    assert!(rest > Duration::from_secs(5) && rest <= Duration::from_secs(10), "{rest:?}");
    reader.script().opens = Some(Ok(vec![identity(0)]));
    stand.round(10_000).unwrap();
    assert_eq!(stand.series()[r#"power_watts{gpu="0"}"#], 130.5);
    assert_eq!(stand.collector.rest(), None);
}

#[test]
fn lost_gpu_vanishes_alone_keeps_its_counters_and_returns() {
    let integrated = Sample { energy_millijoules: None, power_milliwatts: Some(100_000), ..h100() };
    let reader = Scripted::of([integrated.clone(), h100()]);
    let mut stand = Stand::new(reader.clone());
    stand.round(0).unwrap();
    stand.round(1_000).unwrap();
    reader.script().samples.insert(0, Err(CollectError::Failed("device fell off the bus".to_owned())));
    let error = stand.round(1_100).unwrap_err();
    assert_eq!(error.to_string(), "GPU 0: device fell off the bus");
    let series = stand.series();
    assert!(!series.contains_key(r#"power_watts{gpu="0"}"#), "{series:?}");
    assert_eq!(series[r#"power_watts{gpu="1"}"#], 130.5);
    let energy = r#"energy_joules_total{gpu="0",source="integrated"}"#;
    assert_eq!(series[energy], 100.0);

    // The GPU is still lost. It is not read in every round, and the other GPU continues.
    assert!(stand.round(1_200).is_err());
    assert_eq!(reader.script().opened, 1);

    reader.script().samples.insert(0, Ok(integrated));
    stand.round(11_000).unwrap();
    stand.round(12_000).unwrap();
    let series = stand.series();
    assert_eq!(reader.script().opened, 2);
    assert_eq!(series[r#"power_watts{gpu="0"}"#], 100.0);
    // The ten seconds without readings are in no sum.
    assert_eq!(series[energy], 200.0);
}

#[test]
fn gpu_replaced_under_same_index_starts_new_counters() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    stand.round(0).unwrap();
    reader.script().samples.insert(0, Err(CollectError::Failed("lost".to_owned())));
    assert!(stand.round(100).is_err());
    reader.script().opens = Some(Ok(vec![Identity { uuid: Some("GPU-new".to_owned()), ..identity(0) }]));
    reader.script().samples.insert(0, Ok(h100()));
    stand.round(10_000).unwrap();
    let series = stand.series();
    assert_eq!(series[r#"utilization_sample_ratio_count{gpu="0"}"#], 1.0);
    assert!(series.keys().any(|name| name.contains("GPU-new")), "{series:?}");
    assert!(!series.keys().any(|name| name.contains("GPU-0")), "{series:?}");
}

#[test]
fn gpu_values_that_are_stale_are_not_shown() {
    let mut stand = Stand::new(Scripted::of([h100()]));
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    stand.collector.round(long_ago).unwrap();
    let series = stand.series();
    assert!(!series.contains_key(r#"power_watts{gpu="0"}"#), "{series:?}");
    assert_eq!(series[r#"energy_joules_total{gpu="0",source="counter"}"#], 9_000_001.5);
}

#[test]
fn fake_gpus_are_marked_as_fake() {
    let mut stand = Stand::new(FakeReader::new(4).load(|| 1.0));
    stand.collector.collect().unwrap();
    let series = stand.series();
    for gpu in 0..4 {
        let info = format!(r#"info{{gpu="fake{gpu}",uuid="FAKE-{gpu}",name="fake GPU",driver="fake"}}"#);
        assert_eq!(series.get(&info), Some(&1.0));
    }
    assert_eq!(series[r#"utilization_ratio{gpu="fake0"}"#], 1.0);
    assert_eq!(series[r#"utilization_ratio{gpu="fake3"}"#], 0.7);
}

#[test]
fn gpu_counters_that_could_wrap_are_read_more_often() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    assert_eq!(stand.collector.hurry(), None);
    stand.round(0).unwrap();
    // 2^32 bytes at 63 GB/s take 68 ms.
    let hurry = stand.collector.hurry().unwrap();
    assert!((50..53).contains(&hurry.as_millis()), "{hurry:?}");
    stand.collector.hurried();
    assert_eq!(reader.script().depths, [Depth::Full, Depth::Traffic]);

    let sampled = Sample { pcie: Some(Pcie::Sampled { transmit: 1, receive: 1 }), ..h100() };
    reader.script().samples.insert(0, Ok(sampled));
    stand.round(100).unwrap();
    assert_eq!(stand.collector.hurry(), None);
    stand.collector.hurried();
    assert_eq!(reader.script().depths[2..], [Depth::Fast]);
}
