//! Tests which records are held, for how long, and which never wait.

use std::time::Duration;

use bytes::Bytes;

use super::super::{
    Config as Shape,
    coalesce::Config,
    script::{CHAT, Script, Word, content, hear, next, shaping, shows, terminal},
};

fn coalesced() -> Shape {
    Shape { coalesce: Some(Config::default()), ..Shape::default() }
}

#[tokio::test(start_paused = true)]
async fn coalesce_holds_records_for_the_delay_except_first_and_last() {
    let (shaping, registry) = shaping(coalesced());
    let mut chunks: Vec<_> = (0..21).map(|_| content("a")).collect();
    chunks.push(terminal());
    let all = chunks.concat();
    let heard = hear(shaping.wrap(&CHAT, Script::every(Duration::from_millis(12), chunks))).await;
    assert_eq!(heard.bytes(), all);
    let seen: Vec<_> = heard
        .frames
        .iter()
        .map(|(at, frame)| (at.as_millis(), frame.iter().filter(|byte| **byte == b'\n').count()))
        .collect();
    // The first and the last record are sent at once, the others every 50 ms.
    assert_eq!(seen, [(12, 1), (50, 3), (100, 4), (150, 4), (200, 4), (250, 4), (264, 2)]);
    // 26 + 14 + 2 ms, 40 + 28 + 16 + 4, and so on.
    assert!(shows(&registry, "shaping_delay_seconds_total{kind=\"coalesce\"} 0.454"));
    assert!(shows(&registry, "shaping_records_in_total 22"));
    assert!(shows(&registry, "shaping_records_out_total 22"));
}

#[tokio::test(start_paused = true)]
async fn coalesce_writes_streams_that_began_apart_at_the_same_moments() {
    let (shaping, _registry) = shaping(coalesced());
    let ms = Duration::from_millis;
    let stream = |start: u64| {
        let after = [ms(start), ms(9), ms(9), ms(200)];
        let words = after.map(|pause| (pause, Word::Data(Bytes::from(content("a")))));
        hear(shaping.wrap(&CHAT, Script::new(words)))
    };
    let (one, other) = tokio::join!(stream(3), stream(27));
    let at = |heard: &super::super::script::Heard| {
        heard.frames.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>()
    };
    assert_eq!((at(&one), at(&other)), (vec![3, 50, 221], vec![27, 50, 245]));
}

#[tokio::test(start_paused = true)]
async fn coalesce_writes_a_kibibyte_at_once() {
    let (shaping, _registry) = shaping(coalesced());
    let chunks: Vec<_> = (0..100).map(|_| content("a")).collect();
    let all = chunks.concat();
    let heard = hear(shaping.wrap(&CHAT, Script::at_once(chunks))).await;
    assert_eq!(heard.bytes(), all);
    assert!(heard.frames.iter().all(|(at, _)| at.is_zero()), "{heard:?}");
    let record = content("a").len();
    assert!(heard.frames.iter().all(|(_, frame)| frame.len() < (1 << 10) + record));
    assert_eq!(heard.frames.len(), 2 + (all.len() - record) / (1 << 10));
}

#[tokio::test(start_paused = true)]
async fn coalesce_flushes_half_a_record_on_stall() {
    let (shaping, registry) = shaping(coalesced());
    let record = content("a");
    let (one, other) = record.split_at(20);
    let second = Duration::from_secs(1);
    let words = [(second, content("first")), (second, one.to_vec()), (second, other.to_vec())];
    let words = words.map(|(pause, chunk)| (pause, Word::Data(Bytes::from(chunk))));
    let heard = hear(shaping.wrap(&CHAT, Script::new(words))).await;
    let at: Vec<_> = heard.frames.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at, [1000, 2050, 3000], "the end of the body waits for nothing");
    assert!(shows(&registry, "shaping_records_out_total 2"));
    assert!(shows(&registry, "shaping_buffer_bytes 0"));
}

#[tokio::test(start_paused = true)]
async fn coalesce_writes_error_record_at_once() {
    let (shaping, _registry) = shaping(coalesced());
    let ms = Duration::from_millis(1);
    let words = [content("a"), content("b"), b"{\"error\":\"x\"}\n".to_vec()];
    let mut words: Vec<_> = words.map(|chunk| (ms, Word::Data(Bytes::from(chunk)))).into();
    words.push((Duration::from_secs(9), Word::Trailers));
    let heard = hear(shaping.wrap(&CHAT, Script::new(words))).await;
    let at: Vec<_> = heard.frames.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at, [1, 3]);
    assert!(heard.trailers);
}

#[tokio::test(start_paused = true)]
async fn coalesce_forwards_lone_chunk_without_copy() {
    let (shaping, _registry) = shaping(coalesced());
    let chunk = Bytes::from(content("a"));
    let script = Script::new([(Duration::ZERO, Word::Data(chunk.clone()))]);
    let mut body = Box::pin(shaping.wrap(&CHAT, script));
    let data = next(&mut body).await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(data.as_ptr(), chunk.as_ptr());
}
