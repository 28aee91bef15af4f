//! Which sidecar sent a probe, so that a sidecar recognises an upstream whose address leads back to itself.

use std::{
    hash::{BuildHasher, RandomState},
    process,
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field of a probe that names the sidecar which sent it. Other sidecars forward it, so that a loop through them
/// is found too.
const FIELD: HeaderName = HeaderName::from_static("x-streamgauge-instance");

/// The identity of one sidecar, drawn at its start.
#[derive(Clone, Debug)]
pub(super) struct Instance(HeaderValue);

impl Default for Instance {
    fn default() -> Instance {
        // A RandomState is seeded by the system once a thread, and each next one differs: 64 bits are enough to tell
        // the sidecars of one network apart.
        let id = RandomState::new().hash_one(process::id());
        Instance(HeaderValue::try_from(format!("{id:016x}")).expect("hexadecimal digits"))
    }
}

impl Instance {
    /// The fields that every probe has.
    pub(super) fn fields(&self) -> HeaderMap {
        HeaderMap::from_iter([(FIELD, self.0.clone())])
    }

    /// The request is a probe of this very sidecar.
    pub(super) fn sent(&self, fields: &HeaderMap) -> bool {
        fields.get(FIELD).is_some_and(|instance| *instance == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecar_knows_its_own_probes_and_no_others() {
        let (ours, theirs) = (Instance::default(), Instance::default());
        assert!(ours.sent(&ours.fields()));
        assert!(!ours.sent(&theirs.fields()));
        assert!(!ours.sent(&HeaderMap::new()));
    }
}
