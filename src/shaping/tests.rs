//! What is shaped, and what passes as it is.

use super::{
    script::{CHAT, Script, content, hear, shaping, shows},
    *,
};

#[tokio::test(start_paused = true)]
async fn what_is_no_stream_of_a_generation_passes_as_it_is() {
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
fn a_shaped_body_is_as_shareable_as_what_it_shapes() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Shaped<Script>>();
}
