//! A whole answer, which is its own final record: what it counts is what it says, or nothing.
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
                // A sum of what was told never goes wrong, whatever was told.
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
