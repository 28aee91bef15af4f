//! Lines with one value each.
#![no_main]

mod split;

use libfuzzer_sys::fuzz_target;
use streamgauge::protocol::Framing;

fuzz_target!(|data: &[u8]| split::hold(Framing::Ndjson, data));
