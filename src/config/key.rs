//! `[[key]]`: the key of one caller.

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::{
    field::Given,
    inline::{self, LIMITS, LimitsRead},
    mistake::{Problem, Problems},
    shared, source, suggest,
};
use crate::admission::{ANONYMOUS, Access, Digest, Key};

/// A key of `[[key]]`, for the documentation and for suggestions.
#[derive(Debug)]
pub(super) struct KeyKey {
    pub(super) leaf: &'static str,
    pub(super) kind: &'static str,
    pub(super) doc: &'static str,
}

const fn key(leaf: &'static str, kind: &'static str, doc: &'static str) -> KeyKey {
    KeyKey { leaf, kind, doc }
}

pub(super) static KEY_KEYS: &[KeyKey] = &[
    key("name", "letters, digits, `.` `_` `-`, at most 63", "The value of the label `caller`. Required."),
    key(
        "sha256",
        "64 hexadecimal digits",
        "The SHA-256 of the key, never the key itself. Each entry needs one of `sha256`, `key_file` and `key_env`.",
    ),
    key("key_file", "path", "A file that contains the key. Surrounding white space is ignored."),
    key("key_env", "name", "The name of an environment variable that contains the key."),
    key(
        "requests",
        "N/s, N/min, N/h, N/day",
        "The rate of requests that are admitted, whatever their route. Unset: no limit.",
    ),
    key(
        "requests_burst",
        "1 to 4294967295",
        "The number of requests that are admitted at once. Unset: the N of `requests`.",
    ),
    key(
        "tokens",
        "N/s, N/min, N/h, N/day",
        "The rate of tokens: the uncached part of prompts plus the answers. A request may exceed it, and the next one is admitted when the excess is paid back. Unset: no limit.",
    ),
    key(
        "tokens_burst",
        "1 to 4294967295",
        "The number of tokens that may be used at once. Unset: the N of `tokens`.",
    ),
    key(
        "max_streams",
        "1 to 1000000",
        "The maximum number of concurrent streams. Further requests wait in the queue. Unset: no limit.",
    ),
    key(
        "weight",
        "1 to 1000",
        "The share of slot time relative to other callers while they wait for the same slots. Unset: 1.",
    ),
    key(
        "priority",
        "high, normal, low",
        "The priority in the queue: requests of a higher priority get a slot first, see `queue.priority_aging`. Unset: `normal`.",
    ),
    key(
        "routes",
        "array of routes and groups",
        "The routes that are open to this key, within `access.routes`. Unset: all of `access.routes`.",
    ),
    key(
        "models",
        "array of names of models",
        "The models that this key may use; `*` stands for any text, as in `qwen3:*`. All other models do not exist for the key: its requests for them get 404, and lists do not show them. Unset: all.",
    ),
    key("pace", "1 to 100000", "The pace of each of its streams, in tokens/s. Unset: `shaping.pace`."),
    key(
        "on_failure",
        "local, open, closed",
        "How its requests are decided while the store of `[shared]` does not answer. Unset: `shared.on_failure`.",
    ),
];

/// Twice the longest name of a key of `[[key]]`.
const LONGEST_LEAF: usize = 28;

/// A mistake in an entry: in one of its keys, or in the entry as a whole.
pub(super) type InEntry = (Option<usize>, String, Problem);

/// Reads an entry. Each mistake comes with its offset in the file. With `only_hash`, it may not name a file or a variable.
pub(super) fn read(table: &DeTable<'_>, only_hash: bool) -> (Option<Key>, Vec<InEntry>) {
    let mut mistakes = Vec::new();
    let mut limits = LimitsRead::default();
    let (mut name, mut digests) = (None, Vec::new());
    let (mut routes, mut models, mut pace, mut on_failure) = (Access::ALL, None, None, None);
    for (leaf, value) in table {
        let (text, given) = (leaf.get_ref().as_ref(), Given::Toml(value.get_ref()));
        let outcome = match text {
            "name" => check_name(given).map(|text| name = Some(text)).map_err(Problems::from),
            "key_file" | "key_env" if only_hash => {
                let advice = "replace it by `sha256`, so that all sidecars have the same key";
                Err(Problem::new("a key of the store has only `sha256`", advice).into())
            }
            "sha256" | "key_file" | "key_env" => {
                digest(text, given).map(|digest| digests.push(digest)).map_err(Problems::from)
            }
            "routes" => inline::routes(given).map(|access| routes = access),
            "models" => inline::models(given).map(|read| models = Some(read)),
            "pace" => given
                .count(&(1..=100_000))
                .map(|count| pace = u32::try_from(count).ok())
                .map_err(Problems::from),
            "on_failure" => {
                shared::on_failure(given).map(|policy| on_failure = Some(policy)).map_err(Problems::from)
            }
            limit if LIMITS.contains(&limit) => limits.set(limit, given).map_err(Problems::from),
            unknown => {
                Err(suggest::unknown_key("key", unknown, KEY_KEYS.iter().map(|known| known.leaf)).into())
            }
        };
        for problem in outcome.err().into_iter().flat_map(|problems| problems.0) {
            // A long name may be a key or its digest in the wrong place, so it is not repeated.
            let about = if text.len() > LONGEST_LEAF { "key".to_owned() } else { format!("key.{text}") };
            mistakes.push((Some(leaf.span().start), about, problem));
        }
    }
    let mut whole = |problem| mistakes.push((None, "key".to_owned(), problem));
    if !table.contains_key("name") {
        whole(Problem::new("the entry has no `name`", "add one, as in name = \"alice\""));
    }
    match ["sha256", "key_file", "key_env"].iter().filter(|leaf| table.contains_key(**leaf)).count() {
        0 => {
            let what = "the entry has none of `sha256`, `key_file` and `key_env`";
            whole(Problem::new(what, "add one of them, as in key_file = \"/run/secrets/alice\""));
        }
        1 => {}
        _ => {
            let what = "the entry has more than one of `sha256`, `key_file` and `key_env`";
            whole(Problem::new(what, "keep one of them"));
        }
    }
    let limits = limits.finish().map_err(|problems| problems.0.into_iter().for_each(&mut whole));
    let key = match (name, digests.as_slice(), limits) {
        (Some(name), [digest], Ok(limits)) => {
            Some(Key { name, digest: *digest, limits, routes, models, pace, on_failure })
        }
        _ => None,
    };
    (key, mistakes)
}

fn check_name(given: Given<'_>) -> Result<String, Problem> {
    let text = given.text("\"alice\"")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
        // The text may be the key itself in the wrong field, so it is not repeated.
        let advice = "write 1 to 63 letters, digits, dots, dashes or underscores, as in \"alice\"";
        return Err(Problem::new("the text is not a valid name of a caller", advice));
    }
    if [ANONYMOUS, "other"].contains(&text) {
        return Err(Problem::new(
            format!("{text:?} is reserved: the metrics use it in the label `caller`"),
            "choose another name, as in \"alice\"",
        ));
    }
    Ok(text.to_owned())
}

/// Reads the digest of a key, which is given in one of three ways. The errors never repeat a key.
fn digest(leaf: &str, given: Given<'_>) -> Result<Digest, Problem> {
    let text = match leaf {
        "sha256" => given.text("\"2bb8…\"")?,
        "key_file" => given.text("\"/run/secrets/alice\"")?,
        _ => given.text("\"ALICE_KEY\"")?,
    };
    if leaf == "sha256" {
        let advice = "write the digest that `printf %s \"$KEY\" | sha256sum | cut -d' ' -f1` prints";
        return Digest::parse(text)
            .ok_or_else(|| Problem::new("the text is not 64 hexadecimal digits", advice));
    }
    let key: Zeroizing<String> =
        if leaf == "key_file" { source::secret_file(text)? } else { source::secret_variable(text)? };
    match key.trim() {
        "" => Err(Problem::new("the key is empty", "write the key into the file or the variable")),
        key => Ok(Digest::of(key.as_bytes())),
    }
}
