//! Quotas in paused time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn quota(count: u32, per: Duration, burst: u32) -> Quota {
    Quota { count: count.try_into().unwrap(), per, burst: burst.try_into().unwrap() }
}

/// Asks 10,000 times with these pauses between, and checks the limit at every answer.
async fn ask(quota: Quota, pause: impl Fn(u32) -> Duration) -> u32 {
    let limiter = Limiter::new(quota);
    let start = Instant::now();
    let rate = f64::from(quota.count.get()) / quota.per.as_secs_f64();
    let mut admitted = 0;
    for number in 0..10_000 {
        tokio::time::advance(pause(number)).await;
        let allowance = limiter.allowance();
        assert_eq!(limiter.wait().is_zero(), allowance.remaining > 0);
        match limiter.take() {
            Ok(()) => admitted += 1,
            Err(wait) => assert!(wait <= quota.per, "starved for {wait:?}"),
        }
        let most = rate * start.elapsed().as_secs_f64() + f64::from(quota.burst.get());
        assert!(f64::from(admitted) <= most + 1e-6, "{admitted} of {most} at {number}");
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn rate_limit_over_ten_thousand_requests_admits_exactly_rate_and_burst() {
    for (quota, pause) in [
        (quota(60, 60 * SECOND, 60), Duration::from_millis(100)),
        (quota(60, 60 * SECOND, 1), Duration::from_millis(333)),
        (quota(100, SECOND, 10), Duration::from_millis(1)),
        (quota(7, 3600 * SECOND, 3), Duration::from_secs(61)),
    ] {
        let admitted = ask(quota, |_| pause).await;
        let time = pause * 10_000;
        let wanted = time.as_secs_f64() * f64::from(quota.count.get()) / quota.per.as_secs_f64();
        // With a burst of 1, a request that comes just before its time waits for the next attempt.
        let least = if quota.burst.get() == 1 { 0.75 * wanted } else { 0.99 * wanted };
        assert!(f64::from(admitted) >= least, "{quota:?}: {admitted} of {wanted}");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limit_holds_through_bursts_and_silence() {
    let pause = |number: u32| if number.is_multiple_of(500) { 20 * SECOND } else { Duration::from_millis(1) };
    ask(quota(10, SECOND, 40), pause).await;
}

#[tokio::test(start_paused = true)]
async fn rate_limit_admits_request_after_the_stated_wait() {
    let limiter = Limiter::new(quota(3, 10 * SECOND, 2));
    for _ in 0..1_000 {
        if let Err(wait) = limiter.take() {
            assert_eq!(limiter.wait(), wait);
            tokio::time::advance(wait).await;
            assert_eq!(limiter.take(), Ok(()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn token_debt_is_paid_back_before_the_next_request() {
    // 100 a minute, and 1,000 charged at once: 600 s, minus the 99 that could have come at once.
    let limiter = Limiter::new(quota(100, 60 * SECOND, 100));
    limiter.take().unwrap();
    limiter.charge(999);
    let wait = limiter.take().unwrap_err();
    assert_eq!(wait.as_millis(), 540_600);
    assert_eq!(limiter.allowance().remaining, 0);
    tokio::time::advance(wait).await;
    assert_eq!(limiter.take(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rate_limit_refund_can_be_used_again() {
    let limiter = Limiter::new(quota(1, 60 * SECOND, 1));
    limiter.take().unwrap();
    limiter.refund();
    assert_eq!(limiter.take(), Ok(()));
    assert!(limiter.take().is_err());
}

#[tokio::test(start_paused = true)]
async fn rate_limit_with_huge_charge_waits_and_does_not_overflow() {
    let limiter = Limiter::new(quota(1, 24 * 3600 * SECOND, 1));
    limiter.charge(u64::MAX);
    limiter.charge(u64::MAX);
    assert!(limiter.take().is_err());
    assert_eq!(limiter.allowance().remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn rate_limit_after_clock_jump_admits_one_burst() {
    let limiter = Limiter::new(quota(10, SECOND, 10));
    let burst = || (0..100).take_while(|_| limiter.take().is_ok()).count();
    assert_eq!(burst(), 10);
    for years in [1, 10, 100] {
        // After the machine slept.
        tokio::time::advance(SECOND * 365 * 24 * 3600 * years).await;
        assert_eq!(limiter.allowance().remaining, 10);
        assert_eq!(burst(), 10, "after {years} years");
        assert!(limiter.wait() <= SECOND / 10);
    }
}
