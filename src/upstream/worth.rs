//! Compares a free slot with one that another upstream will have later.

use std::time::Duration;

/// The milliseconds to which patience is rounded up, so that requests with almost the same patience share a group. A
/// smaller difference is not worth waiting for.
const STEP: u128 = 500;

/// The expected time from a slot at a candidate to the end of the answer, as far as candidates differ: the load of the
/// model, the reload of evicted models, and a slower generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    pub(super) expected: Duration,
    /// The part of it that is the rest of a load which runs already.
    pub(super) passes: Duration,
}

/// Returns the time for which a free slot at each candidate may stay idle before a request takes it.
///
/// A delay that is `None` is not known, so the request takes the slot at once. `wait` is the expected wait for a slot at one
/// of some candidates; `None`: not known.
///
/// A request takes a slot at once if no wait for a faster candidate is expected to end the answer sooner. Otherwise it
/// waits for at most as long as it could win: then it loses at most as much as it could have won.
pub(super) fn patience(
    delays: &[Option<Delay>],
    wait: impl Fn(&[usize]) -> Option<Duration>,
) -> Vec<Duration> {
    let mut patience = vec![Duration::ZERO; delays.len()];
    let known = || delays.iter().enumerate().filter_map(|(at, delay)| Some((at, (*delay)?)));
    let mut order: Vec<(Duration, usize)> = known().map(|(at, delay)| (delay.expected, at)).collect();
    order.sort_unstable();
    let faster: Vec<usize> = order.iter().map(|(_, at)| *at).collect();
    let Some(least) = known().map(|(_, delay)| delay.expected.saturating_sub(delay.passes)).min() else {
        return patience;
    };
    // The soonest end after a wait for one of the candidates so far.
    let mut soonest: Option<Duration> = None;
    for (count, &(delay, at)) in order.iter().enumerate() {
        let most = delay.saturating_sub(least).as_millis();
        if most >= STEP && soonest.is_some_and(|soonest| soonest <= delay) {
            let millis = most.div_ceil(STEP).saturating_mul(STEP);
            patience[at] = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        }
        if let Some(wait) = wait(&faster[..=count]) {
            let end = wait.saturating_add(delay);
            soonest = Some(soonest.map_or(end, |soonest| soonest.min(end)));
        }
    }
    patience
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    const fn takes(expected: Duration) -> Option<Delay> {
        Some(Delay { expected, passes: Duration::ZERO })
    }

    #[test]
    fn slot_is_worth_a_load_if_the_wait_for_another_one_is_longer() {
        let patience = |load, wait: Option<u64>| patience(&[takes(secs(0)), load], |_| wait.map(secs))[1];
        assert_eq!(patience(takes(secs(10)), Some(3)), secs(10));
        assert_eq!(patience(takes(secs(10)), Some(12)), secs(0));
        let odd = takes(Duration::from_millis(1_201));
        assert_eq!(patience(odd, Some(1)), Duration::from_millis(1_500));
        assert_eq!(patience(None, Some(3)), secs(0));
        assert_eq!(patience(takes(secs(3)), None), secs(0));
        let little = takes(Duration::from_millis(499));
        assert_eq!(patience(little, Some(0)), secs(0), "it is not worth a wait");
    }

    #[test]
    fn second_load_is_not_worth_it_while_the_rest_of_the_first_is_no_longer() {
        let loading = |rest| Some(Delay { expected: secs(rest), passes: secs(rest) });
        let patience = |rest, wait| patience(&[loading(rest), takes(secs(10))], |_| Some(secs(wait)));
        assert_eq!(patience(10, 0)[1], secs(10));
        assert_eq!(patience(4, 5)[1], secs(10));
        assert_eq!(patience(4, 7)[1], secs(0), "too many wait for the first");
    }

    #[test]
    fn candidates_between_the_fastest_and_the_slot_shorten_the_wait() {
        let delays = [takes(secs(20)), takes(secs(0)), takes(secs(5))];
        // The fastest one alone is far away. With the second one, a slot is free soon.
        let wait = |these: &[usize]| Some(if these.len() == 1 { secs(100) } else { secs(1) });
        assert_eq!(patience(&delays, wait), [secs(20), secs(0), secs(0)]);
        let wait = |these: &[usize]| (these.len() > 2).then_some(secs(0));
        assert_eq!(patience(&delays, wait), [secs(0); 3], "nothing is known about the faster ones");
        assert!(patience(&[], |_| None).is_empty());
    }
}
