//! Pseudonyms of callers: a recording tells them apart, and names none of them.

use sha2::{Digest as _, Sha256};

/// The bytes of a pseudonym. Among 5,000 callers, the probability that two have the same one is one in 90,000.
const BYTES: usize = 5;

/// The pseudonyms of one recording. The key of the hash is random and never leaves this type, so nobody can test whether a
/// pseudonym is that of a name, and two recordings have other pseudonyms for the same caller.
pub(crate) struct Pseudonyms {
    key: [u8; 32],
}

impl Pseudonyms {
    /// Draws a key.
    pub(crate) fn new() -> Pseudonyms {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system has random numbers");
        Pseudonyms { key }
    }

    /// Returns the pseudonym of a caller, as in `caller-0f3a91c2d7`.
    pub(crate) fn of(&self, caller: &str) -> String {
        let hash = Sha256::new().chain_update(self.key).chain_update(caller).finalize();
        let digits: String = hash.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("caller-{digits}")
    }
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonym_is_stable_in_its_recording_and_tells_neither_the_name_nor_the_key() {
        let (one, other) = (Pseudonyms::new(), Pseudonyms::new());
        let found = one.of("alice");
        assert_eq!(found, one.of("alice"));
        assert!(found != one.of("bob") && found != other.of("alice"), "{found}");
        assert!(found.len() == 17 && found.starts_with("caller-") && !found.contains("alice"), "{found}");
        // Without the key, the hash of the name would be found by a guess.
        let guess: String =
            Sha256::digest("alice").iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
        assert!(!found.ends_with(&guess), "{found}");
        assert_eq!(format!("{one:?}"), "Pseudonyms");
    }
}
