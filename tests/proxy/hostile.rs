//! Clients and upstreams that send malformed, ambiguous or excessive messages.

mod client;
mod framing;
mod limits;
pub(crate) mod strict;
mod upstream;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// The response to a client that sends these bytes and then waits for the end.
async fn answer(sidecar: &Sidecar, bytes: &str) -> String {
    let mut client = sidecar.connect().await;
    // A client that is refused early cannot write the rest.
    let _ = soon(client.stream.write_all(bytes.as_bytes())).await;
    let mut seen = Vec::new();
    let _ = soon(client.stream.read_to_end(&mut seen)).await;
    String::from_utf8_lossy(&seen).into_owned()
}
