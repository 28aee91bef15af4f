//! The energy that a card has used: its counter, plus power × time since the counter was read.
//!
//! NVML takes 3 ms to read the counter. It is therefore read once a second, and every 10 s at rest. Over a few
//! seconds, the counter alone would lack the energy since its last reading. The sampled power estimates that energy,
//! and the next reading of the counter corrects the estimate.

use super::carried::Carried;

/// After so many seconds without a reading of the counter, the estimate stops and waits for the next reading.
const FOLLOWED: f64 = 15.0;

/// Joules so far. If a device has a counter, its power alone is never integrated, so the card has only one series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Energy {
    Counted(Counted),
    Integrated(f64),
}

/// A counter of millijoules, and the estimate since its last reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    counter: Carried,
    /// Energy by the power since the counter was read, joules.
    since: f64,
    /// Time since the counter was read, seconds.
    age: f64,
    /// The value that was shown last. If a reading is below it, the value stays until the counter has caught up.
    told: f64,
}

impl Energy {
    /// Returns the energy after `seconds` at a power of `watts`. `counter` is the device's counter in millijoules, if
    /// it was read now.
    pub(super) fn after(
        before: Option<Energy>,
        counter: Option<u64>,
        watts: Option<f64>,
        seconds: f64,
    ) -> Option<Energy> {
        let drawn = watts.map(|watts| watts * seconds);
        match (before, counter, drawn) {
            (Some(Energy::Counted(mut counted)), Some(counter), _) => {
                counted.counter.read(counter);
                counted.read();
                Some(Energy::Counted(counted))
            }
            (_, Some(counter), _) => {
                let mut counted = Counted { counter: Carried::new(counter), since: 0.0, age: 0.0, told: 0.0 };
                counted.read();
                Some(Energy::Counted(counted))
            }
            (Some(Energy::Counted(mut counted)), None, drawn) => {
                counted.follow(drawn.unwrap_or_default(), seconds);
                Some(Energy::Counted(counted))
            }
            (Some(Energy::Integrated(joules)), None, drawn) => {
                Some(Energy::Integrated(joules + drawn.unwrap_or_default()))
            }
            (None, None, drawn) => drawn.map(Energy::Integrated),
        }
    }

    /// Returns the label `source`, and the energy in joules.
    pub(super) fn told(&self) -> (&'static str, f64) {
        match self {
            Energy::Counted(counted) => ("counter", counted.told),
            Energy::Integrated(joules) => ("integrated", *joules),
        }
    }
}

impl Counted {
    fn read(&mut self) {
        (self.since, self.age) = (0.0, 0.0);
        self.tell();
    }

    fn follow(&mut self, drawn: f64, seconds: f64) {
        self.age += seconds;
        if self.age <= FOLLOWED {
            self.since += drawn;
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.told.max(self.counter.total() as f64 / 1e3 + self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the energy after each step of `(counter, watts, seconds)`.
    fn told(steps: &[(Option<u64>, f64, f64)]) -> Vec<f64> {
        let mut energy = None;
        let after = |(counter, watts, seconds): &(_, f64, f64)| {
            energy = Energy::after(energy, *counter, Some(*watts), *seconds);
            energy.unwrap().told().1
        };
        steps.iter().map(after).collect()
    }

    #[test]
    fn energy_is_estimated_between_readings_and_corrected_at_the_next() {
        let steps = [
            (Some(1_000_000), 100.0, 0.0),
            (None, 100.0, 0.5),
            (None, 300.0, 0.5),
            // The card used more energy than its power indicated.
            (Some(1_250_000), 100.0, 0.1),
            (None, 100.0, 0.5),
        ];
        assert_eq!(told(&steps), [1_000.0, 1_050.0, 1_200.0, 1_250.0, 1_300.0]);
    }

    #[test]
    fn energy_estimated_too_high_stays_until_it_is_drawn() {
        let steps = [
            (Some(1_000_000), 100.0, 0.0),
            (None, 100.0, 1.0),
            // The card used 60 J: the estimate was 40 J too high.
            (Some(1_060_000), 100.0, 0.1),
            (None, 100.0, 0.25),
            (None, 100.0, 0.25),
        ];
        assert_eq!(told(&steps), [1_000.0, 1_100.0, 1_100.0, 1_100.0, 1_110.0]);
    }

    #[test]
    fn energy_of_counter_no_longer_read_stops_growing() {
        let mut steps = vec![(Some(1_000_000), 100.0, 0.0)];
        steps.extend([(None, 100.0, 1.0); 60]);
        assert_eq!(told(&steps).last(), Some(&2_500.0));
    }

    #[test]
    fn energy_never_decreases_after_driver_restart() {
        let steps = [(Some(5_000_000), 100.0, 0.0), (Some(10_000), 100.0, 1.0), (Some(30_000), 100.0, 1.0)];
        assert_eq!(told(&steps), [5_000.0, 5_010.0, 5_030.0]);
    }
}
