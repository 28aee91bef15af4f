//! The upper bounds of every histogram, in base units. docs/reference/metrics.md states which values lie beyond the
//! first and the last bound, and why.

use super::native::{self, NativeLayout};

/// Seconds from accept to the last byte: from a list of models to the longest answer of a slow model.
pub const REQUEST: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 180.0, 600.0, 3600.0];
/// Seconds from accept to the first content record. A loaded model answers in tens of milliseconds, and a load takes
/// minutes.
pub const FIRST_TOKEN: &[f64] =
    &[0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0];
/// Seconds between chunks. The bounds grow by about a half from 1.5 to 250 ms, the range of models with 4 to 700
/// tokens per second.
pub const GAP: &[f64] = &[
    0.0005, 0.0015, 0.0025, 0.004, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1.0,
    2.5, 10.0,
];
/// The bounds of `GAP`, and between them further ones that grow by at most a tenth, from just below 1 ms to 1 s. They
/// are for quantiles that are not read from `/metrics`.
pub const GAP_FINE: &[f64] = &fine::<88>(GAP, 0.0009, 1.0);
/// Seconds of a phase or a wait.
pub const PHASE: &[f64] =
    &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3600.0];
/// Seconds to scan a record: some 0.2 µs for a short one, and milliseconds for one of 8 MiB.
pub const SCAN: &[f64] =
    &[1e-7, 2e-7, 3e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2];
/// Seconds of the sidecar's own work on a frame.
pub const OVERHEAD: &[f64] =
    &[2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 0.1];
/// Tokens per second: from a large model on a CPU to a small one on the fastest GPU.
pub const TOKEN_RATE: &[f64] = &[
    0.5, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 130.0, 180.0, 250.0, 350.0, 500.0, 1000.0,
    3000.0,
];
/// Bytes of a chunk. A record usually has 100 to 200.
pub const CHUNK_BYTES: &[f64] =
    &[64.0, 96.0, 128.0, 192.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0, 524288.0];
/// Seconds by which a runtime woke a timer late. The bounds are close together around 1 ms, Tokio's resolution, which
/// an idle runtime shows.
pub const LAG: &[f64] = &[
    1e-4, 5e-4, 1e-3, 1.25e-3, 1.5e-3, 2e-3, 2.5e-3, 3e-3, 4e-3, 5e-3, 7.5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25,
    1.0, 10.0,
];
/// Seconds in which a worker polls a task, or in which a task waits for a worker.
pub const POLL: &[f64] =
    &[1e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.1, 1.0, 10.0];
/// Ratios from 0 to 1.
pub const RATIO: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// The part of a context that a request fills. A context that shifts holds less than the tokens of a request.
pub const FILL: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0, 2.0];
/// Watts of one card. The largest cards on sale draw 1,400.
pub const WATTS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0, 500.0, 600.0, 700.0, 1000.0, 1200.0,
    1500.0,
];

/// `GAP`, with native buckets from 0.49 ms to 16 s.
pub const GAP_NATIVE: NativeLayout =
    NativeLayout::new(&native::merged::<136>(GAP, GAP_RANGE), GAP, GAP_RANGE);
/// `PHASE`, with native buckets from 0.98 ms to 4,096 s.
pub const PHASE_NATIVE: NativeLayout =
    NativeLayout::new(&native::merged::<189>(PHASE, PHASE_RANGE), PHASE, PHASE_RANGE);
/// `FIRST_TOKEN`, with native buckets from 3.9 ms to 1,024 s.
pub const FIRST_TOKEN_NATIVE: NativeLayout =
    NativeLayout::new(&native::merged::<157>(FIRST_TOKEN, FIRST_TOKEN_RANGE), FIRST_TOKEN, FIRST_TOKEN_RANGE);
/// The indices of the lowest and of the highest native bound.
const GAP_RANGE: (i32, i32) = (-11 * 8, 4 * 8);
const PHASE_RANGE: (i32, i32) = (-10 * 8, 12 * 8);
const FIRST_TOKEN_RANGE: (i32, i32) = (-8 * 8, 10 * 8);

/// The largest ratio of a bound to the one before.
const STEP: f64 = 1.1;

/// Returns all of `bounds`, and between `from` and `to` as many further ones as needed, so that each is at most a
/// tenth above the one before. `N` is their number; a wrong `N` does not compile.
const fn fine<const N: usize>(bounds: &[f64], from: f64, to: f64) -> [f64; N] {
    let mut all = [0.0; N];
    let (mut at, mut bound, mut last) = (0, 0, 0.0);
    while bound < bounds.len() {
        let next = bounds[bound];
        if last < from && from < next {
            all[at] = from;
            at += 1;
            last = from;
        }
        while last >= from && next <= to && last * STEP < next {
            last *= STEP;
            all[at] = last;
            at += 1;
        }
        all[at] = next;
        at += 1;
        last = next;
        bound += 1;
    }
    assert!(at == N, "the number of bounds is another");
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_bounds_include_shown_bounds_and_step_by_a_tenth_from_1_ms_to_1_s() {
        assert!(GAP_FINE.is_sorted_by(|one, next| one < next), "{GAP_FINE:?}");
        assert!(GAP.iter().all(|bound| GAP_FINE.contains(bound)), "{GAP_FINE:?}");
        let inner: Vec<_> = GAP_FINE.iter().filter(|bound| (0.0009..=1.0).contains(*bound)).collect();
        assert_eq!(inner.last(), Some(&&1.0));
        assert!(inner.windows(2).all(|pair| pair[1] / pair[0] <= STEP + 1e-9), "{inner:?}");
    }
}
