//! The arithmetic of a shared rate: the state of GCRA in whole microseconds and a fraction, as in the scripts.

use std::time::Duration;

use super::policy::Rate;

impl Rate {
    /// The text that tells two rates apart.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}", self.count, self.per, self.burst)
    }

    /// The whole microseconds in which one comes back, and the rest with `count` as its denominator.
    pub(super) fn each(&self) -> (u64, u64) {
        (self.per / u64::from(self.count), self.per % u64::from(self.count))
    }

    /// How far the state of a full bucket lies ahead of now.
    pub(super) fn limit(&self) -> (u64, u64) {
        let all = u128::from(self.burst) * u128::from(self.per);
        let (whole, part) = (all / u128::from(self.count), all % u128::from(self.count));
        (u64::try_from(whole).unwrap_or(u64::MAX), u64::try_from(part).unwrap_or(0))
    }

    /// The time until one more fits, if the state lies this far ahead of now. Zero: it fits.
    pub(super) fn wait(&self, ahead: Duration) -> Duration {
        (ahead + self.period()).saturating_sub(self.full())
    }

    /// How many fit now, if the state lies this far ahead of now.
    pub(super) fn remaining(&self, ahead: Duration) -> u32 {
        let free = self.full().saturating_sub(ahead).as_nanos() / self.period().as_nanos().max(1);
        u32::try_from(free).unwrap_or(u32::MAX).min(self.burst)
    }

    /// The time in which one comes back, rounded down.
    fn period(&self) -> Duration {
        Duration::from_nanos(self.per.saturating_mul(1000) / u64::from(self.count))
    }

    /// The time in which a full bucket empties, rounded up.
    fn full(&self) -> Duration {
        let (whole, part) = self.limit();
        Duration::from_micros(whole.saturating_add(u64::from(part > 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_and_rest_of_a_rate_follow_its_state() {
        let rate = Rate { count: 100, per: 60_000_000, burst: 10 };
        let at = Duration::from_millis;
        assert_eq!((rate.wait(at(0)), rate.remaining(at(0))), (at(0), 10));
        assert_eq!((rate.wait(at(5400)), rate.remaining(at(5400))), (at(0), 1));
        assert_eq!((rate.wait(at(5401)), rate.remaining(at(5401))), (at(1), 0));
        assert_eq!((rate.wait(at(60_000)), rate.remaining(at(60_000))), (at(54_600), 0));
    }

    #[test]
    fn rate_that_does_not_divide_its_period_keeps_the_rest() {
        let rate = Rate { count: 7, per: 60_000_000, burst: 7 };
        assert_eq!((rate.each(), rate.limit()), ((8_571_428, 4), (60_000_000, 0)));
        let odd = Rate { burst: 3, ..rate };
        assert_eq!(odd.limit(), (25_714_285, 5));
        assert_eq!(odd.wait(Duration::ZERO), Duration::ZERO);
    }
}
