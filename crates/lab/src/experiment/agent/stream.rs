//! One running agent.

use std::error::Error;

use bytes::Bytes;
use reqwest::{Client, Response, header::CONTENT_TYPE, redirect};
use tokio::time::Instant;

use super::{
    Arrival, Clock, Ending, Job,
    answer::{IncomingAnswer, told},
    bucket::Bucket,
    tape::Tape,
};
use streamgauge_tls as tls;

/// The maximum part of a refusal that is read, bytes.
const REFUSAL: usize = 16 << 10;

/// An agent that has everything it needs except its connection, so that the measured time contains no preparation.
pub(super) struct ReadyAgent {
    client: Client,
    pub(super) number: u32,
    /// The time at which its request is due, in seconds since the start.
    pub(super) due: f64,
    place: usize,
    url: String,
    body: Bytes,
}

impl ReadyAgent {
    /// Returns an agent with a client, and so a connection, of its own.
    ///
    /// # Errors
    /// The client cannot be created.
    pub(super) fn new(place: usize, job: &Job) -> Result<ReadyAgent, String> {
        let client = client(job.tasks[place].url.starts_with("https:"))?;
        Ok(ReadyAgent::with(client, place, job))
    }

    /// Returns the agents of an open-loop load in the order of their times. They share the connections that are free.
    ///
    /// # Errors
    /// The client cannot be created.
    pub(super) fn sharing(job: &Job) -> Result<Vec<ReadyAgent>, String> {
        let client = client(job.tasks.iter().any(|task| task.url.starts_with("https:")))?;
        let mut agents: Vec<ReadyAgent> =
            (0..job.tasks.len()).map(|place| ReadyAgent::with(client.clone(), place, job)).collect();
        agents.sort_by(|a, b| a.due.total_cmp(&b.due));
        Ok(agents)
    }

    fn with(client: Client, place: usize, job: &Job) -> ReadyAgent {
        let task = &job.tasks[place];
        ReadyAgent {
            client,
            number: task.agent,
            due: task.due.unwrap_or_default(),
            place,
            url: task.url.clone(),
            body: task.body.to_string().into(),
        }
    }

    /// Sends the request, and reads the response to its end.
    pub(super) async fn ask(&self, job: &Job, clock: Clock, tape: &Tape) -> Ending {
        let mut ending = Ending { agent: self.number, started: clock.now(), ..Ending::default() };
        let request =
            self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(self.body.clone());
        match request.send().await {
            Err(error) => ending.failure = Some(cause(&error)),
            Ok(response) if !response.status().is_success() => ending.failure = Some(refusal(response).await),
            Ok(response) => self.read(response, job, clock, tape, &mut ending).await,
        }
        ending.duration = clock.now() - ending.started;
        ending
    }

    async fn read(&self, mut response: Response, job: &Job, clock: Clock, tape: &Tape, ending: &mut Ending) {
        let mut answer = IncomingAnswer::new(job.keep_text);
        let mut bucket = job.pace.map(Bucket::right).or(job.leaky_pace.map(Bucket::leaky));
        let mut batch = job.batch.map(|span| Batch { span, since: clock.now(), bytes: Vec::new() });
        loop {
            let (bytes, last) = match response.chunk().await {
                Ok(Some(bytes)) => (bytes, false),
                Ok(None) => (Bytes::new(), true),
                Err(error) => {
                    ending.failure = Some(cause(&error));
                    (Bytes::new(), true)
                }
            };
            ending.bytes += bytes.len() as u64;
            let at = clock.now();
            let bytes = match &mut batch {
                None => bytes,
                Some(batch) => match batch.take(&bytes, at, last) {
                    Some(bytes) => bytes,
                    None if last => Bytes::new(),
                    None => continue,
                },
            };
            let before = Instant::now();
            let mut read = answer.read(&bytes, ending);
            if last && ending.failure.is_none() {
                let rest = answer.finish(ending);
                read.records += rest.records;
                read.tokens += rest.tokens;
            }
            let parse = before.elapsed().as_secs_f64();
            if answer.begun && ending.first_token.is_none() {
                ending.first_token = Some(clock.now() - ending.started);
            }
            if !bytes.is_empty() {
                ending.chunks += 1;
                if job.record {
                    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    tape.arrival(self.place, Arrival { at, bytes: size, records: read.records, parse });
                }
            }
            if let (Some(bucket), 1..) = (&mut bucket, read.tokens) {
                bucket.acquire(read.tokens).await;
            }
            if last {
                return;
            }
        }
    }
}

/// Returns a client. It has no timeout, because a generation may take minutes. The run has a limit of its own.
fn client(secure: bool) -> Result<Client, String> {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).tcp_nodelay(true);
    let client = tls::by_system(client, secure).map_err(|error| error.to_string())?;
    client.build().map_err(|error| cause(&error))
}

/// The batches of TR117 (8.2). Unlike there, the last part is passed on too.
struct Batch {
    span: f64,
    since: f64,
    bytes: Vec<u8>,
}

impl Batch {
    fn take(&mut self, bytes: &[u8], at: f64, last: bool) -> Option<Bytes> {
        self.bytes.extend_from_slice(bytes);
        let due = last || at - self.since >= self.span;
        (due && !self.bytes.is_empty()).then(|| {
            self.since = at;
            std::mem::take(&mut self.bytes).into()
        })
    }
}

async fn refusal(mut response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = response.status();
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > REFUSAL {
            break;
        }
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => format!("{status}: {}", told(&refusal.error)),
        Err(_) => format!("{status}"),
    }
}

/// Returns the innermost cause. The outer errors say only that a request was sent, and to which URL.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::eq(cause, error as &dyn Error) { "the request failed".into() } else { cause.to_string() }
}
