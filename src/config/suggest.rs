//! What a misspelt word may have meant.

use super::mistake::Problem;

/// The candidate that looks most like `word`, if any looks like it at all.
pub(super) fn among<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        // Below this, "tls" turns into "listen".
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

pub(super) fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// A key that its section does not have.
pub(super) fn unknown_key(section: &str, leaf: &str, known: impl Iterator<Item = &'static str>) -> Problem {
    let known: Vec<_> = known.collect();
    let advice = match among(leaf, known.iter().copied()) {
        Some(likely) => did_you_mean(&format!("{section}.{likely}")),
        None => format!("`{section}` has {}", known.join(", ")),
    };
    Problem::new("there is no such key", advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_a_stranger_is_not() {
        let keys = ["listen", "workers", "max_head"];
        assert_eq!(among("lisen", keys), Some("listen"));
        assert_eq!(among("worker", keys), Some("workers"));
        assert_eq!(among("maxhead", keys), Some("max_head"));
        assert_eq!(among("tls", keys), None);
    }
}
