//! The child's side of the pipe, in Rust.

use std::{collections::BTreeMap, io};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout},
    sync::mpsc,
};

use super::frame::{self, Line};
use crate::experiment::agent::{Clock, Job, work};

/// The number of reports that may wait for the pipe.
const WAITING: usize = 256;

/// Executes the job that stdin contains, and reports on stdout.
///
/// # Errors
/// There is no job, or stdout is closed.
pub async fn serve() -> io::Result<()> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (mut input, mut output) = (BufReader::new(stdin()), stdout());
    let mut line = String::new();
    input.read_line(&mut line).await?;
    let job: Job = serde_json::from_str(&line).map_err(|error| invalid(format!("no job: {error}")))?;
    let ready = work(job).map_err(invalid)?;
    let clock = Clock::from(0.0);
    let versions = BTreeMap::from([("streamgauge".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    say(&mut output, &Line::Ready(versions)).await?;
    loop {
        line.clear();
        if input.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.as_str() {
            "clock\n" => say(&mut output, &Line::Clock(clock.now())).await?,
            "go\n" => break,
            _ => return Err(invalid("an unknown command".into())),
        }
    }
    let (tell, mut told) = mpsc::channel(WAITING);
    let working = tokio::spawn(ready.begin(clock, tell));
    let mut bytes = Vec::new();
    while let Some(telling) = told.recv().await {
        bytes.clear();
        frame::encode(&telling, &mut bytes);
        output.write_all(&bytes).await?;
        output.flush().await?;
    }
    working.await.map_err(|error| invalid(error.to_string()))
}

async fn say(output: &mut (impl AsyncWriteExt + Unpin), line: &Line) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame::line_out(line, &mut bytes);
    output.write_all(&bytes).await?;
    output.flush().await
}
