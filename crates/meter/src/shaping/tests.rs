//! Tests which streams are shaped, and which pass unchanged.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    script::{CHAT, Script, Word, contended, content, hear, next, shaping, shows},
    *,
};

#[tokio::test(start_paused = true)]
async fn shaping_passes_other_responses_unchanged() {
    let (shaping, registry) = shaping(Config { pace: 1, ..Config::default() });
    for stream in [
        Stream { route: Route::Pull, ..CHAT },
        Stream { framing: Some(Framing::Json), ..CHAT },
        Stream { framing: None, ..CHAT },
    ] {
        let heard = hear(shaping.wrap(&stream, Script::at_once((0..9).map(|_| content("a"))))).await;
        assert_eq!(heard.frames.len(), 9);
        assert!(heard.frames.iter().all(|(at, _)| at.is_zero()), "{stream:?}");
    }
    assert!(shows(&registry, "shaping_records_in_total 0"));
}

#[test]
fn shaped_body_is_send_and_sync_if_its_inner_body_is() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Shaped<Script>>();
}

/// A record of a random body.
#[derive(Clone, Debug)]
enum Said {
    Content(String),
    Thinking(String),
    Tool,
    Long,
    Junk,
    Blank,
    Last,
}

impl Said {
    fn text(&self, sse: bool) -> Vec<u8> {
        let message = |field: &str, text: &str| match sse {
            true => format!(
                "{{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"{field}\":\"{text}\"}}}}]}}"
            ),
            false => format!("{{\"model\":\"m\",\"message\":{{\"{field}\":\"{text}\"}},\"done\":false}}"),
        };
        let text = match self {
            Said::Content(text) => message("content", text),
            Said::Thinking(text) => message(if sse { "reasoning" } else { "thinking" }, text),
            Said::Tool if sse => "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}".to_owned(),
            Said::Tool => "{\"message\":{\"content\":\"\",\"tool_calls\":[{}]}}".to_owned(),
            Said::Long => message("content", &"l".repeat(3000)),
            Said::Junk => "{{]".to_owned(),
            Said::Blank => String::new(),
            Said::Last if sse => "[DONE]".to_owned(),
            Said::Last => "{\"done\":true}".to_owned(),
        };
        match (sse, self) {
            (true, Said::Blank) => ": ping\n\n".to_owned(),
            (true, _) => format!("data: {text}\n\n"),
            (false, _) => format!("{text}\n"),
        }
        .into_bytes()
    }
}

/// Returns what a client assembles from a body: content, thinking, and all other records as they came.
fn assembled(body: &[u8]) -> (String, String, Vec<Vec<u8>>) {
    let (mut content, mut thinking, mut rest) = (String::new(), String::new(), Vec::new());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let json = line.strip_prefix(b"data: ").unwrap_or(line);
        let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        let message = value.get("message").or_else(|| value.pointer("/choices/0/delta"));
        let message = message.filter(|message| message.get("tool_calls").is_none());
        let text = |field: &str| message.and_then(|message| message.get(field)?.as_str());
        match (text("content"), text("thinking").or_else(|| text("reasoning"))) {
            (None, None) if line == b"\n" => {}
            (None, None) => rest.push(line.to_vec()),
            (said, thought) => {
                content += said.unwrap_or_default();
                thinking += thought.unwrap_or_default();
            }
        }
    }
    (content, thinking, rest)
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        8 => "[a-c]{1,9}".prop_map(Said::Content),
        3 => "[a-c]{1,9}".prop_map(Said::Thinking),
        1 => Just(Said::Tool),
        1 => Just(Said::Long),
        1 => Just(Said::Junk),
        1 => Just(Said::Blank),
        1 => Just(Said::Last),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let coalesce = prop_oneof![
        Just(None),
        (1_u64..80, 1_usize..2000)
            .prop_map(|(delay, bytes)| Some(coalesce::Config { delay: Duration::from_millis(delay), bytes }))
    ];
    let pace = prop_oneof![Just(0_u32), 1_u32..400];
    let window = Duration::from_millis(100);
    let adaptive = prop::option::of((1_u32..50).prop_map(move |floor| adaptive::Config {
        floor: f64::from(floor),
        window,
        ..Default::default()
    }));
    (pace, adaptive, coalesce, any::<bool>()).prop_map(|(pace, adaptive, coalesce, merge)| Config {
        pace,
        pace_buffer: 2 << 10,
        adaptive,
        coalesce,
        merge,
        ..Config::default()
    })
}

/// Returns the chunks of a body cut at random, each with a pause before it.
fn cut(body: &[u8], cuts: &[(usize, u64)]) -> Vec<(Duration, Word)> {
    let mut words = Vec::new();
    let mut rest = body;
    for (length, pause) in cuts.iter().cycle() {
        let (chunk, after) = rest.split_at((*length).min(rest.len()));
        words.push((Duration::from_millis(*pause), Word::Data(Bytes::copy_from_slice(chunk))));
        rest = after;
        if rest.is_empty() {
            return words;
        }
    }
    words
}

fn gauge(registry: &prometheus::Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "streamgauge_shaping_buffer_bytes");
    family.unwrap().get_metric()[0].get_gauge().get_value()
}

proptest! {
    /// Any body, cut and paused anywhere, passes every combination of layers, and is dropped anywhere.
    #[test]
    fn shaping_of_any_kind_keeps_the_content(
        said in prop::collection::vec(said(), 0..32),
        cuts in prop::collection::vec((1_usize..4000, prop_oneof![3 => Just(0_u64), 1 => 0_u64..300]), 1..20),
        config in config(),
        sse in any::<bool>(),
        strip_usage in any::<bool>(),
        ending in 0..4,
        dropped_after in prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..40],
    ) {
        let mut body: Vec<u8> = said.iter().flat_map(|said| said.text(sse)).collect();
        if ending == 3 {
            // The body ends in the middle of a record.
            body.truncate(body.len().saturating_sub(5));
        }
        let mut words = cut(&body, &cuts);
        let pauses: Duration = words.iter().map(|(pause, _)| *pause).sum();
        match ending {
            1 => words.push((Duration::ZERO, Word::Trailers)),
            2 => words.push((Duration::ZERO, Word::Error)),
            _ => {}
        }
        let (framing, dialect) =
            if sse { (Framing::Sse, Dialect::OpenAi) } else { (Framing::Ndjson, Dialect::Ollama) };
        let stream = Stream { framing: Some(framing), dialect, strip_usage, ..CHAT };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(async {
            let (shaping, registry) = shaping(config.clone());
            shaping.adapt(CHAT.upstream, contended());
            let script = Script::new(words);
            let taken = script.taken();
            let mut shaped = Box::pin(shaping.wrap(&stream, script));
            let (mut got, mut frames) = (Vec::new(), 0);
            let (mut trailers, mut error) = (false, false);
            let start = tokio::time::Instant::now();
            while frames < dropped_after {
                let Some(frame) = next(&mut shaped).await else { break };
                frames += 1;
                match frame.map(http_body::Frame::into_data) {
                    Ok(Ok(data)) => got.extend_from_slice(&data),
                    Ok(Err(_)) => trailers = true,
                    Err(_) => error = true,
                }
                // One buffer of the pace, one of coalescing, half a record, and one chunk above each limit.
                prop_assert!(gauge(&registry) <= 2048.0 + 2000.0 + 4.0 * 4000.0 + 3100.0);
            }
            if frames < dropped_after {
                if config.merge {
                    prop_assert_eq!(assembled(&got), assembled(&body));
                } else {
                    prop_assert_eq!(&got, &body);
                }
                prop_assert_eq!((trailers, error), (ending == 1, ending == 2));
                prop_assert!(shaped.is_end_stream());
                let tokens = said.len() as f64 + 1.0;
                let slowest = config.adaptive.map_or(f64::INFINITY, |adaptive| adaptive.floor);
                let pace = if config.pace == 0 { slowest } else { slowest.min(f64::from(config.pace)) };
                let pace = tokens / pace;
                let most = pauses.as_secs_f64() + pace + 0.2 + 0.002 * tokens;
                prop_assert!(start.elapsed().as_secs_f64() <= most, "{:?} of {most}", start.elapsed());
            }
            drop(shaped);
            prop_assert_eq!(gauge(&registry), 0.0);
            prop_assert_eq!(Arc::strong_count(&taken), 1, "the body inside is gone");
            Ok(())
        })?;
    }

    /// A declared length stays correct.
    #[test]
    fn shaped_body_size_hint_is_true(
        said in prop::collection::vec(said(), 0..12),
        cuts in prop::collection::vec((1_usize..400, Just(0_u64)), 1..9),
        config in config(),
    ) {
        let body: Vec<u8> = said.iter().flat_map(|said| said.text(false)).collect();
        let script = Script::new(cut(&body, &cuts));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(async {
            let (shaping, _registry) = shaping(config.clone());
            let mut shaped = Box::pin(shaping.wrap(&CHAT, script));
            let mut left = body.len() as u64;
            loop {
                let told = shaped.size_hint().exact();
                prop_assert_eq!(told, (!config.merge).then_some(left));
                let Some(Ok(frame)) = next(&mut shaped).await else { break };
                left -= if config.merge { 0 } else { frame.into_data().unwrap().len() as u64 };
            }
            Ok(())
        })?;
    }
}
