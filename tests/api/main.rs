//! The public interface of each package, as it is written in the sources, beside what a reviewer has agreed to.
//!
//! `tests/api/PACKAGE.txt` lists every public item with its signature, and `docs/reference/library.md` every public type,
//! function and constant with its first sentence. After a change, `STREAMGAUGE_REWRITE_API=1 cargo test --test api` writes
//! both anew, and the difference is part of the change.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod interface;
mod listing;
mod made_up;
mod names;
mod page;
mod print;
mod snapshot;
mod source;

/// A package, the folder of its sources, and what it is for.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) sources: &'static str,
}

/// In the order of docs/reference/library.md.
pub(crate) const PACKAGES: [Package; 6] = [
    Package { name: "streamgauge-meter", sources: "crates/meter/src" },
    Package { name: "streamgauge-collector", sources: "crates/collector/src" },
    Package { name: "streamgauge", sources: "src" },
    Package { name: "streamgauge-simulate", sources: "crates/simulate/src" },
    Package { name: "streamgauge-tls", sources: "crates/tls/src" },
    Package { name: "streamgauge-lab", sources: "crates/lab/src" },
];

/// Whether the files are to be written anew.
#[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
pub(crate) fn rewrites() -> bool {
    std::env::var_os("STREAMGAUGE_REWRITE_API").is_some()
}

/// Compares a file with what it has to be, or writes it.
pub(crate) fn hold(file: &str, expected: &str) {
    if rewrites() {
        std::fs::write(file, expected).unwrap();
        return;
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let (was, is): (Vec<_>, Vec<_>) = (text.lines().collect(), expected.lines().collect());
    let gone = was.iter().filter(|line| !is.contains(line)).map(|line| format!("- {line}"));
    let new = is.iter().filter(|line| !was.contains(line)).map(|line| format!("+ {line}"));
    let difference: Vec<_> = gone.chain(new).collect();
    assert!(
        text == expected,
        "{file} differs from the sources; if that is meant, run STREAMGAUGE_REWRITE_API=1 cargo test --test api:\n{}",
        difference.join("\n")
    );
}
