//! A recording with every kind of content: two languages, remedies, a series, lag, failures.

use std::sync::LazyLock;

use streamgauge_lab::analysis::{
    Agent, Chunk, Condition, GpuSample, LagSample, Language, Load, Probe, Recording, Remedy, Run, RunKind,
    Settings, Slo, statistic::Random,
};
use streamgauge_lab::experiment::recording::{Environment, Problem, Recorded};
use streamgauge_lab::report::Report;

/// Fast settings that always give the same result.
pub(crate) const SETTINGS: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 99, seed: 1, window: 1.0, margin: 0.05 };

struct Draft {
    recording: Recording,
    random: Random,
    now: f64,
}

impl Draft {
    fn noise(&mut self) -> f64 {
        1.0 + 0.05 * (self.random.unit() - 0.5)
    }

    fn run(&mut self, condition: &str, kind: RunKind, roles: &[&str], slow: f64, lag: f64) {
        let id = self.recording.runs.len() as u32;
        let run = Run { id, condition: condition.into(), kind, started: self.now, ..Run::default() };
        self.recording.runs.push(run);
        let mut longest = 0.0_f64;
        for (agent, role) in (0..).zip(roles) {
            let gap = 0.02 * slow * self.noise();
            for place in 0..50 {
                let at = self.now + gap * f64::from(place + 1);
                let gap = if place == 0 { f64::NAN } else { gap * self.noise() };
                self.recording.chunks.push(Chunk {
                    run: id,
                    agent,
                    at,
                    bytes: 100,
                    records: 1,
                    gap,
                    parse: 2e-5,
                    streams: 0,
                });
            }
            let (duration, cpu) = (50.0 * gap, 0.01 * self.noise());
            longest = longest.max(duration);
            self.recording.agents.push(Agent {
                run: id,
                agent,
                role: (*role).into(),
                started: self.now,
                duration,
                first_token: Some(gap),
                tokens: Some(50),
                eval_duration: Some(0.9 * duration),
                cpu: Some(cpu),
                ..Agent::default()
            });
        }
        for look in 0..20 {
            let (at, lag) = (self.now + 0.05 * f64::from(look), lag * self.noise());
            self.recording.lag.push(LagSample { run: id, process: 0, probe: Probe::Schedule, at, lag });
        }
        let gpu = GpuSample {
            at: self.now,
            watts: 100.0,
            utilization: 0.5,
            memory: 1e9,
            pcie_received: 1e6,
            pcie_sent: 1e5,
            gpu: 0,
            energy: f64::NAN,
        };
        self.recording.gpu.push(gpu);
        if let Some(run) = self.recording.runs.last_mut() {
            run.joules = Some(100.0 * longest);
        }
        self.now += longest + 0.5;
    }
}

impl Draft {
    /// Adds four runs of an open-loop load whose first tokens come after this time.
    fn load(&mut self, condition: &str, rate: f64, first: f64) {
        let slo = Slo { ttft: Some(1.0), total: Some(10.0), share: 0.9, ..Slo::default() };
        let series = Some("load".to_owned());
        let (seconds, lateness, recording) = (10.0, 0.05, 0);
        let load = Load { condition: condition.into(), series, rate, seconds, lateness, slo, recording };
        self.recording.loads.push(load);
        for repetition in 0..4 {
            let id = self.recording.runs.len() as u32;
            let (condition, kind) = (condition.into(), RunKind::Open);
            self.recording.runs.push(Run {
                id,
                condition,
                kind,
                repetition: Some(repetition),
                wall: Some(11.0),
                joules: Some(500.0 + f64::from(repetition)),
                ..Run::default()
            });
            for agent in 0..10 {
                let scheduled = self.now + f64::from(agent);
                self.recording.agents.push(Agent {
                    run: id,
                    agent,
                    scheduled: Some(scheduled),
                    started: scheduled + 0.001,
                    duration: first + 1.0,
                    first_token: Some(if agent < repetition { 2.0 * first } else { first }),
                    tokens: Some(20),
                    failure: (agent == 9 && repetition == 0).then(|| "reset".into()),
                    ..Agent::default()
                });
                for (place, gap) in (0..).zip([f64::NAN, 0.02]) {
                    let at = scheduled + first + f64::from(place);
                    let (bytes, records, parse) = (100, 1, 2e-5);
                    self.recording.chunks.push(Chunk {
                        run: id,
                        agent,
                        at,
                        bytes,
                        records,
                        gap,
                        parse,
                        streams: 0,
                    });
                }
            }
            self.now += 20.0;
        }
    }
}

pub(crate) fn recorded() -> Recorded {
    let mut draft = Draft { recording: Recording::default(), random: Random::new(5), now: 0.0 };
    let condition =
        |name: &str, language, remedies: &[Remedy], baseline: Option<&str>, series: Option<&str>| Condition {
            name: name.into(),
            language,
            remedies: remedies.to_vec(),
            baseline: baseline.map(Into::into),
            series: series.map(Into::into),
            ..Condition::default()
        };
    draft.recording.conditions = vec![
        condition("rust", Language::Rust, &[], None, None),
        condition("python <b>&", Language::Python, &[], Some("rust"), None),
        condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python <b>&"), None),
        condition("batches", Language::Python, &[Remedy::Batch(0.05)], Some("python <b>&"), None),
        condition("one", Language::Rust, &[], None, Some("scale")),
        condition("four", Language::Rust, &[], Some("one"), Some("scale")),
        condition("eight", Language::Rust, &[], Some("one"), Some("scale")),
    ];
    for _ in 0..5 {
        for (name, slow, lag) in [
            ("rust", 1.2, 0.0002),
            ("python <b>&", 1.5, 0.01),
            ("uvloop", 1.2, 0.005),
            ("batches", 1.5, 0.01),
        ] {
            draft.run(name, RunKind::Together, &["a", "b"], slow, lag);
            draft.run(name, RunKind::Solo, &["a"], 1.0, lag / 2.0);
            draft.run(name, RunKind::Solo, &["b"], 1.0, lag / 2.0);
        }
        draft.run("one", RunKind::Together, &["a"], 1.0, 0.0002);
        draft.run("one", RunKind::Solo, &["a"], 1.0, 0.0002);
        draft.run("four", RunKind::Together, &["a"; 4], 1.5, 0.0002);
        draft.run("eight", RunKind::Together, &["a"; 8], 3.0, 0.0002);
    }
    // Enough runs for a bootstrap interval.
    for _ in 0..45 {
        draft.run("one", RunKind::Together, &["a"], 1.0, 0.0002);
    }
    // This condition has too few runs for a test.
    draft.recording.conditions.push(condition("rare", Language::Rust, &[], Some("rust"), None));
    draft.run("rare", RunKind::Together, &["a", "b"], 1.3, 0.0002);
    draft.run("rust", RunKind::Together, &["a", "b"], 1.2, 0.0002);
    draft.recording.agents.last_mut().unwrap().failure = Some("503: the queue is full".into());
    draft.load("load-1", 1.0, 0.1);
    draft.load("load-2", 2.0, 3.0);
    Recorded {
        name: "made-up".into(),
        recording: draft.recording,
        plan: None,
        environment: Some(Environment { streamgauge: "0".into(), ..Environment::default() }),
        problems: vec![Problem {
            file: "loop_lag.csv".into(),
            line: Some(7),
            what: "a <script> is not a time".into(),
        }],
    }
}

/// The report is analysed once for all tests, because without optimisation it takes seconds.
pub(crate) fn report() -> &'static Report {
    static REPORT: LazyLock<Report> = LazyLock::new(|| Report::of(vec![recorded()], &SETTINGS));
    &REPORT
}
