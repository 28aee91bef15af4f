//! Suggestions for misspelt words.

use super::mistake::Problem;

/// The lowest accepted similarity. Below it, "tls" would suggest "listen".
const ALIKE: f64 = 0.6;

/// The candidate that is most similar to `word`, if any is similar enough. Upper and lower case are equal.
pub(super) fn among<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (likeness(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

fn likeness(one: &str, other: &str) -> f64 {
    let likeness = strsim::normalized_damerau_levenshtein(one, other);
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    // `warning` for `warn`, `err` for `error`; `max` does not abbreviate `max_connections`.
    if long.starts_with(short) && 2 * short.len() >= long.len() { likeness.max(ALIKE) } else { likeness }
}

pub(super) fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// The problem of a key that its section does not have.
pub(super) fn unknown_key(section: &str, leaf: &str, known: impl Iterator<Item = &'static str>) -> Problem {
    let known: Vec<_> = known.collect();
    let advice = match among(leaf, known.iter().copied()) {
        Some(likely) => did_you_mean(&format!("{section}.{likely}")),
        None => format!("choose one of the keys of `{section}`: {}", known.join(", ")),
    };
    Problem::new("unknown key", advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestion_is_made_for_a_typo_and_not_for_another_word() {
        let keys = ["listen", "workers", "max_head"];
        assert_eq!(among("lisen", keys), Some("listen"));
        assert_eq!(among("worker", keys), Some("workers"));
        assert_eq!(among("maxhead", keys), Some("max_head"));
        assert_eq!(among("tls", keys), None);
        assert_eq!(among("max", keys), None);
    }

    #[test]
    fn suggestion_is_made_for_capitals_or_another_ending() {
        let levels = ["error", "warn", "info", "debug", "trace"];
        for (word, level) in [("INFO", "info"), ("Warn", "warn"), ("warning", "warn"), ("err", "error")] {
            assert_eq!(among(word, levels), Some(level), "{word}");
        }
        assert_eq!(among("loud", levels), None);
    }
}
