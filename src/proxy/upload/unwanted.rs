//! The body of a request that is answered without it.

use std::{future::poll_fn, pin::pin, task::Poll};

use http::{HeaderMap, header::EXPECT};
use http_body::Body;
use tokio::task::yield_now;

use crate::proxy::Inbound;

/// A longer body is not read: its connection ends with the answer.
const MOST: u64 = 64 << 10;
/// hyper hands over what it has at its next turn. What is not there by then is still on its way.
const TURNS: usize = 8;

/// Reads off a body that has come already, so that its connection can take the next request. The answer waits for
/// nothing that is not there.
pub(in crate::proxy) async fn read_off(fields: &HeaderMap, body: Inbound) {
    // To read would ask for the body of a client that waits for leave to send it.
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
