//! Upper bounds of every histogram, in base units.

/// Seconds, accept to last byte.
pub const REQUEST: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0];
/// Seconds, accept to the first content record: a loaded model answers in tens of ms, a load takes minutes.
pub const FIRST_TOKEN: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
/// Seconds between chunks: fine from 1 to 100 ms, where models of 10 to 1,000 tokens a second live.
pub const GAP: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];
/// Seconds of a phase or a wait.
pub const PHASE: &[f64] =
    &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Seconds of our own work: three bounds a decade, 1 µs to 10 ms.
pub const OVERHEAD: &[f64] =
    &[1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2];
/// Tokens a second.
pub const TOKEN_RATE: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0, 320.0];
/// Bytes of an arrival; a record is usually 100 to 200.
pub const CHUNK_BYTES: &[f64] =
    &[32.0, 64.0, 96.0, 128.0, 192.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0];
/// Seconds that a runtime's worker keeps something waiting: a task polled, scheduled, or a timer that is due.
pub const LAG: &[f64] =
    &[1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0];
/// Parts of a whole.
pub const RATIO: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Watts of one card; the largest draw 700.
pub const WATTS: &[f64] = &[
    25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0, 450.0, 500.0, 550.0, 600.0, 650.0,
    700.0,
];
