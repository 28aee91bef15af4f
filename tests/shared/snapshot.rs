//! Compares texts with the files in tests/snapshots, where a reviewer can read all of them.

use std::{env, fs, path::Path};

/// Fails and shows the difference if `actual` is not the text of `tests/snapshots/NAME`. If the variable
/// `STREAMGAUGE_REWRITE_TEXTS` is set, it writes the file instead.
pub(crate) fn compare(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    #[expect(clippy::disallowed_methods, reason = "the person who runs the tests sets the variable")]
    let is_update = env::var_os("STREAMGAUGE_REWRITE_TEXTS").is_some();
    if is_update {
        return fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} is out of date. Check the difference, run the test with STREAMGAUGE_REWRITE_TEXTS=1, and commit the file.\n{}",
        path.display(),
        difference(&expected, actual)
    );
}

/// The lines that differ, with `-` and `+` before them and a line of context around each change.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    // The length of the longest common subsequence of the rest of both.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let is_near =
        |at: usize| lines[at.saturating_sub(1)..lines.len().min(at + 2)].iter().any(|line| line.0 != ' ');
    let near = lines.iter().enumerate().filter(|(at, _)| is_near(*at));
    near.map(|(_, (sign, line))| format!("{sign} {line}\n")).collect()
}

#[test]
fn changed_line_is_shown_with_its_neighbours_and_no_other() {
    assert_eq!(difference("a\nb\nc\nd\ne\n", "a\nb\nx\nd\ne\n"), "  b\n- c\n+ x\n  d\n");
    assert_eq!(difference("a\n", "a\nb\n"), "  a\n+ b\n");
    assert_eq!(difference("a\n", "a\n"), "");
}
