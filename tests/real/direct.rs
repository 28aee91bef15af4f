//! What a client gets directly, to be compared with what it gets through a sidecar.

use serde_json::Value;

/// Runs of each that are compared.
const MOST: usize = 4;

/// What a client gets directly, over as many runs as it takes. Ollama itself answers in another way now and then: a
/// model that was loaded anew has an empty cache, which changes roundings. What a sidecar did to an answer, it would do
/// again.
pub(crate) struct Direct<F> {
    ask: F,
    answers: Vec<Value>,
}

impl<F: Fn() -> Value> Direct<F> {
    /// Asks twice: the first run fills Ollama's cache of prompts, so that those which are compared start alike.
    pub(crate) fn new(ask: F) -> Direct<F> {
        ask();
        let answers = vec![ask()];
        Direct { ask, answers }
    }

    /// Every run of `through`, until one is as one that came directly; both are read by `read`.
    pub(crate) fn agrees(
        &mut self,
        name: &str,
        read: fn(&Value) -> Value,
        through: impl Fn() -> Value,
    ) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            seen.push(through());
            let known: Vec<_> = self.answers.iter().map(read).collect();
            if seen.iter().any(|run| known.contains(&read(run))) {
                return seen;
            }
            if seen.len() == MOST {
                let steps: Vec<_> =
                    seen.iter().zip(&known).map(|(run, direct)| differ(&read(run), direct)).collect();
                panic!("{name}: no two of {MOST} runs agree; run by run they differ in {steps:#?}");
            }
            self.answers.push((self.ask)());
        }
    }
}

/// The steps in which two runs differ, as they came through and directly.
fn differ(through: &Value, direct: &Value) -> Vec<String> {
    let of = |run: &Value| run.get("answers").unwrap_or(run).as_object().unwrap().clone();
    let (through, direct) = (of(through), of(direct));
    let differing = direct.iter().filter(|(step, answer)| through.get(*step) != Some(answer));
    differing.map(|(step, answer)| format!("{step}: {:?} and not {answer}", through.get(step))).collect()
}
