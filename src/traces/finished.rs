//! A sampled request that has ended.

use std::time::SystemTime;

use http::Method;

use super::sampler::Sampled;
use crate::meter::{Ending, Live};

/// The most characters of a name that a client chose, and of the reason of a failure.
const MOST: usize = 200;

/// A sampled request that has ended, with all that its span is made from.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) sampled: Sampled,
    pub(super) ended: SystemTime,
    pub(super) ending: Ending,
    /// The model as the client wrote it.
    pub(super) named: Option<String>,
    /// The model as the upstream lists it.
    pub(super) listed: Option<String>,
}

impl Finished {
    pub(super) fn new(sampled: Sampled, live: &Live, ending: &Ending) -> Finished {
        let mut ending = ending.clone();
        ending.explanation = ending.explanation.as_deref().map(shortened);
        Finished {
            sampled,
            ended: SystemTime::now(),
            ending,
            named: live.named_model().map(shortened),
            listed: live.listed_model().map(shortened),
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.sampled.method
    }
}

/// The beginning of a text, so that the queue has a bound in bytes.
fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(MOST).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_shortened_between_characters() {
        assert_eq!(shortened("a"), "a");
        assert_eq!(shortened(&"é".repeat(500)), "é".repeat(MOST));
    }
}
