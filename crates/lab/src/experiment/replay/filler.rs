//! Text that makes a number of tokens.

use reqwest::{Client, redirect};
use serde::Deserialize;
use streamgauge_tls as tls;

use crate::analysis::statistic::Random;

/// Common words of equal length, which are one token each in most vocabularies.
const WORDS: [&str; 32] = [
    "able", "also", "area", "away", "back", "best", "body", "book", "call", "care", "case", "city", "come",
    "data", "door", "each", "fact", "find", "form", "game", "give", "hand", "head", "home", "idea", "keep",
    "kind", "land", "life", "line", "long", "make",
];
/// The words of the two requests that measure.
const MEASURED: [u64; 2] = [16, 272];

/// How many tokens filler text makes in a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filler {
    /// The tokens of a prompt without a word, such as those of the template.
    overhead: f64,
    /// The tokens of a word.
    per_word: f64,
}

impl Default for Filler {
    fn default() -> Filler {
        Filler { overhead: 0.0, per_word: 1.0 }
    }
}

#[derive(Deserialize)]
struct Counted {
    prompt_eval_count: Option<u64>,
}

impl Filler {
    /// Measures the tokens of filler text by two requests to a model, which load it too.
    ///
    /// # Errors
    /// The Ollama does not answer, or does not count the tokens, for the reason in the text.
    pub async fn measure(url: &str, model: &str) -> Result<Filler, String> {
        let explain = |error: reqwest::Error| format!("{model}: {}", error.without_url());
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = tls::by_system(client, url.starts_with("https:")).map_err(|error| error.to_string())?;
        let client = client.build().map_err(explain)?;
        let target = format!("{}/api/generate", url.trim_end_matches('/'));
        let mut counts = [0.0; 2];
        for (words, count) in MEASURED.into_iter().zip(&mut counts) {
            let body = serde_json::json!({
                "model": model,
                "prompt": text(words, u64::MAX - words),
                "stream": false,
                "options": { "num_predict": 1 },
            });
            let answer = client.post(&target).json(&body).send().await;
            let answer = answer.and_then(reqwest::Response::error_for_status).map_err(explain)?;
            let counted: Counted = answer.json().await.map_err(explain)?;
            let tokens = counted.prompt_eval_count;
            *count = tokens.ok_or_else(|| format!("{model}: Ollama counts no tokens of the prompt"))? as f64;
        }
        let per_word = (counts[1] - counts[0]) / (MEASURED[1] - MEASURED[0]) as f64;
        if per_word <= 0.0 {
            return Err(format!("{model}: a longer prompt has no more tokens, so no prompt can be made"));
        }
        Ok(Filler { overhead: counts[0] - per_word * MEASURED[0] as f64, per_word })
    }

    /// Returns a prompt of about this many tokens. Each number has other words.
    pub(super) fn prompt(self, tokens: u64, number: u64) -> String {
        let words = ((tokens as f64 - self.overhead) / self.per_word).round();
        text(words.max(1.0) as u64, number)
    }
}

fn text(words: u64, number: u64) -> String {
    let mut random = Random::new(number);
    let mut text = String::new();
    for _ in 0..words {
        text.push_str(WORDS[random.below(WORDS.len() as u32) as usize]);
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_has_the_words_that_make_its_tokens_and_begins_like_no_other() {
        let filler = Filler { overhead: 20.0, per_word: 1.25 };
        let prompt = filler.prompt(145, 7);
        assert_eq!(prompt.split(' ').count(), 100);
        assert_eq!(prompt, filler.prompt(145, 7));
        assert_ne!(prompt[..25], filler.prompt(145, 8)[..25]);
        // A prompt that is shorter than the template has one word.
        assert_eq!(filler.prompt(3, 7).split(' ').count(), 1);
    }
}
