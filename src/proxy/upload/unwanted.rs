//! The body of a request that is answered without reading it.

use std::{future::poll_fn, pin::pin, task::Poll};

use http::{HeaderMap, header::EXPECT};
use http_body::Body;
use tokio::task::yield_now;

use crate::proxy::Inbound;

/// A longer body is not read, so that the connection closes after the response.
const MOST: u64 = 64 << 10;
/// hyper hands over the bytes that it has in its next turns. Bytes that are not there by then are still on their
/// way.
const TURNS: usize = 8;

/// Reads a body that has already arrived, so that the connection can take the next request. It waits for no further
/// bytes.
/// nothing that is not there.
pub(in crate::proxy) async fn read_off(fields: &HeaderMap, body: Inbound) {
    // Reading would send `100 Continue` to a client that waits for it.
    if body.is_end_stream() || body.size_hint().lower() > MOST || fields.contains_key(EXPECT) {
        return;
    }
    let mut body = pin!(body);
    let mut bytes = 0;
    for _ in 0..TURNS {
        let frame = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => Poll::Ready(None),
        });
        match frame.await {
            Some(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(_) => return,
            None => yield_now().await,
        }
        if body.is_end_stream() || bytes > MOST {
            return;
        }
    }
}
