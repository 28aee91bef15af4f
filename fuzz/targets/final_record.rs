//! A whole response is its own final record. Its counts are those that it states, or none.
#![no_main]

mod split;

use libfuzzer_sys::fuzz_target;
use streamgauge::protocol::{Framing, Scan, Scanner};

fuzz_target!(|data: &[u8]| {
    split::hold(Framing::Json, data);
    for dialect in split::DIALECTS {
        let mut records = 0;
        let mut scanner = Scanner::new(Framing::Json, dialect);
        let mut tell = |scan| match scan {
            Scan::Record(record) => {
                records += 1;
                // Sums of the reported counts never overflow, whatever was reported.
                if let Some(usage) = record.usage {
                    let mut twice = usage;
                    twice.merge(&usage);
                }
            }
            Scan::Unscanned(_) => {}
        };
        scanner.scan(data, &mut tell);
        scanner.finish(&mut tell);
        assert!(records <= 1, "one body is one record");
    }
});
