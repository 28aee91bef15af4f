//! Recordings on disk of any size, written row by row, so that the writer holds no more than a run.

use std::path::Path;

use streamgauge_lab::{
    analysis::{Agent, Chunk, LagSample, Probe, Run, RunKind, statistic::Random},
    experiment::{
        Plan,
        recording::{AgentRow, Environment, RunRow, Writer},
    },
};

const CONDITIONS: u32 = 5;
/// The chunks of each condition in one repetition, if an agent has one chunk: two together, and each alone.
const OF_A_REPETITION: u32 = 4;

/// The size of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) repetitions: u32,
    pub(crate) chunks_of_an_agent: u32,
}

impl Size {
    pub(crate) fn chunks(self) -> u64 {
        u64::from(CONDITIONS * OF_A_REPETITION * self.repetitions) * u64::from(self.chunks_of_an_agent)
    }
}

/// Writes five conditions of two Python agents, which run together and alone in each repetition.
pub(crate) fn write(folder: &Path, size: Size) {
    let mut plan = String::from(
        "name = \"large\"\n[upstreams]\none = \"http://127.0.0.1:1\"\n\
         [[agent]]\nname = \"a\"\nmodel = \"m\"\nprompt = \"p\"\ntokens = 1\n\
         [[agent]]\nname = \"b\"\nmodel = \"m\"\nprompt = \"p\"\ntokens = 1\n",
    );
    for condition in 0..CONDITIONS {
        plan += &format!("[[condition]]\nname = \"condition {condition}\"\nlanguage = \"python\"\n");
        if condition > 0 {
            plan += "baseline = \"condition 0\"\n";
        }
    }
    let plan: Plan = plan.parse().unwrap();
    let mut writer = Writer::create(folder, &plan, &Environment::default()).unwrap();
    let mut random = Random::new(7);
    let (mut id, mut now) = (0, 0.0);
    for repetition in 0..size.repetitions {
        for condition in 0..CONDITIONS {
            for roles in [&["a", "b"][..], &["a"], &["b"]] {
                let kind = if roles.len() == 1 { RunKind::Solo } else { RunKind::Together };
                let run = Run {
                    id,
                    condition: format!("condition {condition}"),
                    kind,
                    started: now,
                    repetition: Some(repetition),
                    ..Run::default()
                };
                now += self::run(&mut writer, run, roles, size.chunks_of_an_agent, &mut random) + 1.0;
                id += 1;
            }
        }
    }
    writer.flush().unwrap();
}

/// Writes a run, and returns its duration.
fn run(writer: &mut Writer, run: Run, roles: &[&str], count: u32, random: &mut Random) -> f64 {
    let mut agents = Vec::new();
    let mut wall = 0.0_f64;
    for (agent, role) in (0..).zip(roles) {
        let mut chunks = Vec::new();
        let mut at = run.started;
        for place in 0..count {
            let since = 0.01 * roles.len() as f64 * (0.5 + random.unit());
            at += since;
            let (bytes, parse) = (100 + random.below(10), 2e-5 * random.unit());
            let gap = if place == 0 { f64::NAN } else { since };
            chunks.push(Chunk { run: run.id, agent, at, bytes, records: 1, gap, parse, streams: 0 });
        }
        writer.chunks(&chunks).unwrap();
        wall = wall.max(at - run.started);
        let agent = Agent {
            run: run.id,
            agent,
            role: (*role).into(),
            started: run.started,
            duration: at - run.started,
            first_token: Some(0.1),
            tokens: Some(u64::from(count)),
            ..Agent::default()
        };
        agents.push(AgentRow { agent, chunks: u64::from(count), ..AgentRow::default() });
    }
    let sample = |place: u32| {
        let (at, lag) = (run.started + 0.1 * f64::from(place), 0.005 * random.unit());
        LagSample { run: run.id, process: 0, probe: Probe::Schedule, at, lag }
    };
    let samples: Vec<LagSample> = (0..(10.0 * wall) as u32).map(sample).collect();
    writer.lag(&samples).unwrap();
    writer.run(&RunRow { run: Run { wall: Some(wall), ..run }, agents }).unwrap();
    wall
}
