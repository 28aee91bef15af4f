//! Records that are held for a moment and written together.

use streamgauge::shaping::coalesce;

use crate::harness::*;

#[tokio::test]
async fn coalescing_holds_records_for_a_moment_and_writes_them_together() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.shaping.coalesce = Some(coalesce::Config { delay: PATIENCE, ..coalesce::Config::default() });
    let sidecar = sidecar(config).await;
    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    for part in [STREAM, &chunk(RECORD), &chunk(RECORD), &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"] {
        asked.write(part).await;
    }
    let seen = client.rest().await;
    let (_, body) = seen.split_once("\r\n\r\n").unwrap();
    // The first content does not wait. The last record does not wait either and takes the held ones along.
    assert_eq!(body, [&chunk(RECORD), &chunk(&[RECORD, RECORD, LAST].concat()), "0\r\n\r\n"].concat());
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
    assert_eq!(sidecar.value("shaping_buffer_bytes"), 0.0);
}
