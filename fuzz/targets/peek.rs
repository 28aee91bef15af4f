//! The beginning of a request, and its path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamgauge::protocol::{Peek, Route, canonical_model, is_model_name, model_of_path};

fuzz_target!(|data: &[u8]| {
    if let Some(model) = Peek::read(data).model {
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
