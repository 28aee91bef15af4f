//! The energy of runs, from the energy counters of the GPUs, or else from their power.

use std::collections::BTreeMap;

use super::{GpuSample, Recording};

/// If two readings of a GPU are further apart than this, in seconds, the energy between them is not known.
const SPARSE: f64 = 2.0;
/// How long after a run, in seconds, a GPU may still report the utilization of the run: NVIDIA averages over up to a second.
const SETTLED: f64 = 1.0;
/// If a GPU was busy for a larger share of the time between runs, it also served others.
const BUSY: f64 = 0.1;

impl Recording {
    /// Sets the energy of each run from the readings of the GPUs, whose clock has to be that of the runs. It adds a note
    /// for each GPU that also worked between the runs.
    pub fn measure_energy(&mut self) {
        let mut gpus: BTreeMap<u32, Vec<GpuSample>> = BTreeMap::new();
        for sample in &self.gpu {
            gpus.entry(sample.gpu).or_default().push(*sample);
        }
        for samples in gpus.values_mut() {
            samples.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        if gpus.is_empty() {
            return;
        }
        for run in &mut self.runs {
            let Some(wall) = run.wall else { continue };
            let (start, end) = (run.started, run.started + wall);
            // A GPU that is not known makes the sum unknown.
            let joules: Option<Vec<f64>> = gpus.values().map(|samples| joules(samples, start, end)).collect();
            run.joules = joules.map(|joules| joules.into_iter().sum());
        }
        let mut spans: Vec<(f64, f64)> =
            self.runs.iter().filter_map(|run| Some((run.started, run.started + run.wall?))).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (gpu, samples) in &gpus {
            if let Some(share) = between_runs(samples, &spans).filter(|share| *share > BUSY) {
                self.notes.push(format!(
                    "GPU {gpu} was busy {:.0} % of the time between the runs: it also served others, and the energy of \
                     the runs includes theirs",
                    100.0 * share
                ));
            }
        }
    }
}

/// Returns the energy of one GPU in a time. `samples` are in the order of time. `None`: the readings do not cover it.
fn joules(samples: &[GpuSample], start: f64, end: f64) -> Option<f64> {
    let counter = |sample: &GpuSample| sample.energy;
    if let (Some(before), Some(after)) = (at(samples, start, counter), at(samples, end, counter))
        && after >= before
    {
        return Some(after - before);
    }
    let watts = |sample: &GpuSample| sample.watts;
    let inside =
        samples.iter().filter(|sample| sample.at > start && sample.at < end && sample.watts.is_finite());
    let mut points = vec![(start, at(samples, start, watts)?)];
    points.extend(inside.map(|sample| (sample.at, sample.watts)));
    points.push((end, at(samples, end, watts)?));
    if points.windows(2).any(|pair| pair[1].0 - pair[0].0 > SPARSE) {
        return None;
    }
    // The trapezoidal rule.
    Some(points.windows(2).map(|pair| 0.5 * (pair[0].1 + pair[1].1) * (pair[1].0 - pair[0].0)).sum())
}

/// Returns a value at a time, interpolated between the readings around it.
fn at(samples: &[GpuSample], time: f64, value: impl Fn(&GpuSample) -> f64) -> Option<f64> {
    let after = samples.partition_point(|sample| sample.at < time);
    let next = samples.get(after..)?.iter().find(|sample| value(sample).is_finite())?;
    if next.at == time {
        return Some(value(next));
    }
    let before = samples.get(..after)?.iter().rev().find(|sample| value(sample).is_finite())?;
    let span = next.at - before.at;
    (span <= SPARSE).then(|| value(before) + (value(next) - value(before)) * (time - before.at) / span)
}

/// Returns the mean utilization of a GPU while no run was in progress. `None`: there is no such reading.
fn between_runs(samples: &[GpuSample], spans: &[(f64, f64)]) -> Option<f64> {
    let idle = |sample: &&GpuSample| {
        spans.iter().all(|(start, end)| sample.at < *start || sample.at > end + SETTLED)
    };
    let first = spans.first()?.0;
    let after_the_first = |sample: &&GpuSample| sample.at > first;
    let shares = samples.iter().filter(after_the_first).filter(idle).map(|sample| sample.utilization);
    let shares: Vec<f64> = shares.filter(|share| share.is_finite()).collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Agent, Run, Settings, analyse};

    const UNKNOWN: GpuSample = GpuSample {
        gpu: 0,
        at: 0.0,
        watts: f64::NAN,
        utilization: f64::NAN,
        memory: f64::NAN,
        pcie_received: f64::NAN,
        pcie_sent: f64::NAN,
        energy: f64::NAN,
    };

    fn run(started: f64, wall: f64) -> Run {
        Run { id: started as u32, condition: "pair".into(), started, wall: Some(wall), ..Run::default() }
    }

    fn measured(gpu: Vec<GpuSample>, runs: Vec<Run>) -> Recording {
        let mut recording = Recording { gpu, runs, ..Recording::default() };
        recording.measure_energy();
        recording
    }

    /// Readings twice a second of a power that rises by 10 W per second.
    fn rising(gpu: u32) -> Vec<GpuSample> {
        let sample = |place: u32| {
            let at = 0.5 * f64::from(place) + 0.1;
            GpuSample { gpu, at, watts: 100.0 + 10.0 * at, ..UNKNOWN }
        };
        (0..20).map(sample).collect()
    }

    #[test]
    fn power_is_integrated_over_the_run_and_summed_over_gpus() {
        // The integral of 100 + 10 t from 2 to 5 is 405 J. numpy.trapezoid of the interpolated points gives the same,
        // because the power is linear.
        let recording = measured(rising(0), vec![run(2.0, 3.0)]);
        assert!((recording.runs[0].joules.unwrap() - 405.0).abs() < 1e-9);
        let both = rising(0).into_iter().chain(rising(1)).collect();
        assert!((measured(both, vec![run(2.0, 3.0)]).runs[0].joules.unwrap() - 810.0).abs() < 1e-9);
    }

    #[test]
    fn energy_counter_is_preferred_to_power() {
        let counted =
            rising(0).into_iter().map(|sample| GpuSample { energy: 7.0 * sample.at, ..sample }).collect();
        assert!((measured(counted, vec![run(2.0, 3.0)]).runs[0].joules.unwrap() - 21.0).abs() < 1e-9);
        // A driver that was loaded again begins at 0, so the power is used.
        let reset = |sample: GpuSample| {
            let energy = if sample.at < 3.0 { 1000.0 } else { sample.at };
            GpuSample { energy, ..sample }
        };
        let reset = rising(0).into_iter().map(reset).collect();
        assert!((measured(reset, vec![run(2.0, 3.0)]).runs[0].joules.unwrap() - 405.0).abs() < 1e-9);
    }

    #[test]
    fn energy_of_a_run_that_the_readings_do_not_cover_is_unknown() {
        assert_eq!(measured(rising(0), vec![run(8.0, 3.0)]).runs[0].joules, None);
        let hole = rising(0).into_iter().filter(|sample| sample.at < 2.5 || sample.at > 5.0).collect();
        assert_eq!(measured(hole, vec![run(2.0, 4.0)]).runs[0].joules, None);
        // One of two GPUs stopped answering.
        let silent = rising(1).into_iter().filter(|sample| sample.at < 3.0);
        let both = rising(0).into_iter().chain(silent).collect();
        assert_eq!(measured(both, vec![run(2.0, 3.0)]).runs[0].joules, None);
    }

    #[test]
    fn gpu_that_works_between_the_runs_served_others() {
        let busy = |utilization: f64| {
            let gpu = rising(0).into_iter().map(|sample| GpuSample { utilization, ..sample }).collect();
            measured(gpu, vec![run(1.0, 1.0), run(6.0, 1.0)]).notes
        };
        assert_eq!(busy(0.05), Vec::<String>::new());
        let notes = busy(0.4);
        assert!(notes[0].starts_with("GPU 0 was busy 40 % of the time between the runs"), "{notes:?}");
        // Without a pause, nothing is known.
        let gpu = rising(0).into_iter().map(|sample| GpuSample { utilization: 0.9, ..sample }).collect();
        assert!(measured(gpu, vec![run(0.0, 5.0), run(5.5, 4.5)]).notes.is_empty());
    }

    #[test]
    fn joules_a_token_and_watts_are_measures_of_a_run() {
        let mut recording = measured(rising(0), vec![run(2.0, 3.0)]);
        let (duration, tokens) = (3.0, Some(81));
        recording.agents.push(Agent { run: 2, started: 2.0, duration, tokens, ..Agent::default() });
        recording.conditions.push(crate::analysis::Condition { name: "pair".into(), ..Default::default() });
        let analysis = analyse(&recording, &Settings::default());
        let mean = |measure| analysis.conditions[0].mean(measure).unwrap().value;
        assert!((mean(crate::analysis::Measure::JoulesPerToken) - 5.0).abs() < 1e-9);
        assert!((mean(crate::analysis::Measure::Watts) - 135.0).abs() < 1e-9);
    }
}
