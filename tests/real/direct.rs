//! The direct responses, for comparison with those through a sidecar.

use serde_json::Value;

use super::ollama::Ollama;

/// The direct responses of a client.
///
/// Ollama's responses depend on its caches: a prompt with a cached part is computed in other batches, which changes
/// roundings and sometimes a token. So each run begins with no model in memory.
pub(crate) struct Direct<'a> {
    ollama: &'a Ollama,
    pub(crate) answers: Value,
}

impl<'a> Direct<'a> {
    /// Runs it twice, since the first run creates what Ollama keeps on disk, such as the layers of a created model.
    pub(crate) fn new(ollama: &'a Ollama, ask: impl Fn() -> Value) -> Direct<'a> {
        ask();
        ollama.unload();
        Direct { ollama, answers: ask() }
    }

    /// Runs it through the sidecar, which must give the same. `read` reads both results.
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

/// The steps in which two runs differ, through the sidecar and directly.
fn differ(through: &Value, direct: &Value) -> Vec<String> {
    let of = |run: &Value| run.get("answers").unwrap_or(run).as_object().unwrap().clone();
    let (through, direct) = (of(through), of(direct));
    let differing = direct.iter().filter(|(step, answer)| through.get(*step) != Some(answer));
    differing.map(|(step, answer)| format!("{step}: {:?} and not {answer}", through.get(step))).collect()
}
