//! What a client gets directly, to be compared with what it gets through a sidecar.

use serde_json::Value;

use super::ollama::Ollama;

/// What a client gets directly.
///
/// Ollama's answers depend on what its caches hold: a prompt of which a part is cached is computed in other batches, which
/// changes roundings, and now and then a token. So each run begins with no model in memory.
pub(crate) struct Direct<'a> {
    ollama: &'a Ollama,
    pub(crate) answers: Value,
}

impl<'a> Direct<'a> {
    /// Asks twice: the first run leaves what Ollama keeps on disk, such as the layers of a model that it makes.
    pub(crate) fn new(ollama: &'a Ollama, ask: impl Fn() -> Value) -> Direct<'a> {
        ask();
        ollama.unload();
        Direct { ollama, answers: ask() }
    }

    /// One run of `through`, which must give the same; both are read by `read`.
    pub(crate) fn agrees(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Value,
        through: impl FnOnce() -> Value,
    ) -> Value {
        self.ollama.unload();
        let seen = through();
        let differing = differ(&read(&seen), &read(&self.answers));
        assert!(differing.is_empty(), "{name}: {differing:#?}");
        assert_eq!(read(&seen), read(&self.answers), "{name}");
        seen
    }
}

/// The steps in which two runs differ, as they came through and directly.
fn differ(through: &Value, direct: &Value) -> Vec<String> {
    let of = |run: &Value| run.get("answers").unwrap_or(run).as_object().unwrap().clone();
    let (through, direct) = (of(through), of(direct));
    let differing = direct.iter().filter(|(step, answer)| through.get(*step) != Some(answer));
    differing.map(|(step, answer)| format!("{step}: {:?} and not {answer}", through.get(step))).collect()
}
