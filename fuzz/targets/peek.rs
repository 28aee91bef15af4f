//! The beginning of a request, and its path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamgauge::protocol::{Peek, PeekReader, Route, canonical_model, is_model_name, model_of_path};

fuzz_target!(|data: &[u8]| {
    let whole = Peek::read(data);
    let mut reader = PeekReader::default();
    data.chunks(data.first().map_or(1, |first| usize::from(*first).max(1))).for_each(|piece| reader.read(piece));
    assert_eq!(reader.peek(), whole, "in pieces it says what it does whole");
    assert!(whole.usage_unasked_at.is_none_or(|at| data[at as usize] == b'}'));
    if let Some(model) = whole.model {
        assert!(is_model_name(&model), "a name that may be a label");
        let canonical = canonical_model(&model).into_owned();
        assert_eq!(canonical_model(&canonical), canonical, "canonical is canonical");
    }
    if let Ok(path) = std::str::from_utf8(data) {
        let _ = Route::classify("POST", path);
        if let Some(model) = model_of_path(path) {
            assert!(is_model_name(&model));
        }
    }
});
