//! Prompts from half the context to four times its length: those that Ollama cut, and those that the sidecar suspects.
//!
//! Ollama itself tells which ones it cuts: if `truncate` is false, it refuses them and evaluates the others.

mod model;
mod tally;
mod text;

use std::{env, fs};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use self::{
    tally::{Length, Tally},
    text::Texts,
};
use super::{
    answer::post,
    ollama::Ollama,
    process::{scratch, until},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// A short one and a long one, which have rules of their own.
const CONTEXTS: [u64; 2] = [512, 2048];
/// The prompts for the short context, unless the variable `PROMPTS` has another number.
const PROMPTS: usize = 30;
/// The messages of a long chat.
const MESSAGES: usize = 7;

/// How a client sends a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Generate,
    Chat,
    /// A chat of [`MESSAGES`]: Ollama leaves whole messages out.
    LongChat,
    /// Without `num_ctx`, which this API does not have.
    OpenaiChat,
}

impl Shape {
    const ALL: [Shape; 4] = [Shape::Generate, Shape::Chat, Shape::LongChat, Shape::OpenaiChat];

    fn path(self) -> &'static str {
        match self {
            Shape::Generate => "/api/generate",
            Shape::Chat | Shape::LongChat => "/api/chat",
            Shape::OpenaiChat => "/v1/chat/completions",
        }
    }

    fn messages(self, text: &str) -> Value {
        let parts = if self == Shape::LongChat { MESSAGES } else { 1 };
        let message = |(at, part)| {
            let role = ["user", "assistant"][at % 2];
            json!({"role": role, "content": part})
        };
        text::parts(text, parts).into_iter().enumerate().map(message).collect()
    }

    /// The request that asks for one token, without what [`Shape::OpenaiChat`] lacks.
    fn native(self, model: &str, text: &str, context: u64) -> Value {
        let mut body =
            json!({"model": model, "stream": false, "options": {"num_ctx": context, "num_predict": 1}});
        match self {
            Shape::Generate => body["prompt"] = text.into(),
            _ => body["messages"] = self.messages(text),
        }
        body
    }

    fn request(self, model: &str, text: &str, context: u64) -> Value {
        match self {
            Shape::OpenaiChat => json!({"model": model, "messages": self.messages(text), "max_tokens": 1}),
            _ => self.native(model, text, context),
        }
    }
}

/// The tokens of a prompt that fits, or none if Ollama would cut it.
fn whole(ollama: &Ollama, shape: Shape, model: &str, text: &str, context: u64) -> Option<u64> {
    let mut body = shape.native(model, text, context);
    body["truncate"] = false.into();
    let path = if shape == Shape::Generate { "/api/generate" } else { "/api/chat" };
    let answer = post(&ollama.url, path, &body);
    if answer.status == 200 {
        return Some(answer.told().prompt);
    }
    let error = answer.text();
    assert!(answer.status == 400 && error.contains("exceed"), "{error}");
    None
}

/// A prompt that went through the sidecar.
struct Sent {
    /// The id in the request log.
    id: String,
    length: Length,
    kind: usize,
}

/// Sends prompts of every kind, shape and length through one sidecar, which learns from them.
fn send(ollama: &Ollama, sidecar: &Sidecar, (model, context): (&str, u64), number: usize) -> Vec<Sent> {
    let mut texts = Texts::read();
    let mut chance = StdRng::seed_from_u64(context);
    let one = |at: usize| {
        let kind = chance.random_range(0..text::KINDS.len());
        let shape = Shape::ALL[chance.random_range(0..Shape::ALL.len())];
        // Two of three fit.
        let ratio = if at % 3 == 2 { chance.random_range(1.0..4.0) } else { chance.random_range(0.5..1.0) };
        let text = texts.draw(kind, ratio * context as f64, &mut chance);
        let whole = whole(ollama, shape, model, &text, context);
        let answer = post(&sidecar.url, shape.path(), &shape.request(model, &text, context));
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = answer.told().prompt;
        match whole {
            Some(tokens) => {
                assert_eq!(told, tokens, "{shape:?}");
                texts.learn(kind, text.len(), tokens);
            }
            None => assert!(told <= context, "{shape:?}: {told} tokens"),
        }
        let ratio = texts.tokens(kind, text.len()) / context as f64;
        let length = Length::new(whole.is_none(), shape == Shape::LongChat, ratio);
        Sent { id: answer.headers["x-streamgauge-request-id"].clone(), length, kind }
    };
    // A longer context takes more time in proportion.
    (0..number * 512 / context as usize).map(one).collect()
}

fn cut_prompts_are_suspected_and_others_are_not(version: Version) {
    let number = env::var("PROMPTS").map_or(PROMPTS, |number| number.parse().expect("PROMPTS is a number"));
    let (ollama, scratch) = (Ollama::start(version, 1), scratch());
    model::create(&ollama, scratch.path());
    let mut all = Tally::default();
    for context in CONTEXTS {
        let model = model::with_context(&ollama, context);
        let file = scratch.path().join(format!("{context}.log"));
        let settings = [
            ("STREAMGAUGE_PROXY__RESPONSE_FIELDS", "true"),
            ("STREAMGAUGE_LOG__REQUESTS", "all"),
            ("STREAMGAUGE_LOG__REQUESTS_FILE", file.to_str().unwrap()),
            ("STREAMGAUGE_LOG__REQUESTS_MAX_SIZE", "1GiB"),
        ];
        let sidecar = Sidecar::start_with(&ollama, &settings);
        let sent = send(&ollama, &sidecar, (&model, context), number);
        let log = || fs::read_to_string(&file).unwrap();
        until(|| (log().lines().count() >= sent.len()).then_some(()), log);
        let lines = log();
        let mut tally = Tally::default();
        for Sent { id, length, kind } in &sent {
            let line = lines.lines().find(|line| line.contains(id)).expect("each request has a line");
            let is_suspected = line.contains(" prompt_cut=true");
            if is_suspected == (*length == Length::Fits) {
                println!("{length}, {}, suspected: {is_suspected}: {line}", text::KINDS[*kind]);
            }
            tally.count(*length, *kind, is_suspected);
        }
        sidecar.until("prompt_truncation_suspected_total", &[], tally.suspected() as f64);
        println!("Ollama {version}, context of {context} tokens\n{tally}");
        all.add(&tally);
    }
    println!("Ollama {version}, all\n{all}");
    all.verify();
}

on_every_ollama! { cut_prompts_are_suspected_and_others_are_not }
