//! `record`: writes the live traffic of a running sidecar into a folder on this machine.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, builder::ValueParser};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{CommandFailure, Global, Process, ask, output, probe, recorded_rows::rows, runtimes, top};
use crate::{
    config,
    experiment::recording::{Environment, LiveTraffic, Upstream, Writer},
    recording::Generation,
    tls::{self, Trust},
};

/// The longest line: a generation with two million chunks.
const LIMIT: usize = 256 << 20;
/// The sidecar sends an empty line every 5 s.
const SILENCE: Duration = Duration::from_secs(20);
/// The time to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Record the live traffic of a running sidecar, for `streamgauge report`
///
/// The generations that begin while it records are written when they end. No prompt, answer or key is recorded. Ctrl-C ends the
/// recording, and it stays usable. After --for, it waits for the generations that still run.
#[derive(Args, Debug)]
pub(super) struct Record {
    /// The admin address of the sidecar, as a URL or HOST:PORT [default: admin.listen of the configuration]
    // Not parsed by clap, which would repeat a wrong value, and with it a password.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// The file with the token of the admin address [default: admin.token_file of the configuration]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long to record [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration)]
    span: Option<Duration>,
    /// The folder of the recording, which is created
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The share of the generations that are recorded, from 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 1.0, value_parser = ValueParser::new(share))]
    sample_ratio: f64,
    /// Record a pseudonym of the caller of each generation, not its model, as its role
    #[arg(long)]
    callers: bool,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// The first line.
#[derive(Deserialize)]
struct Begins {
    upstreams: Vec<FeedUpstream>,
}

#[derive(Deserialize)]
struct FeedUpstream {
    name: String,
    version: Option<String>,
}

/// A later line: a generation, or the end.
#[derive(Deserialize)]
#[serde(untagged)]
enum FeedLine {
    Ended { lost: u64 },
    Generation(Box<Generation>),
}

/// The extent of a recording.
#[derive(Clone, Copy, Debug, Default)]
struct RecordSummary {
    generations: u32,
    /// The generations that this program was too slow for.
    lost: u64,
    is_complete: bool,
}

impl Record {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        let mut token_file = self.token_file.clone();
        let (url, trust) = match &self.admin {
            Some(_) if global.config.is_some() => {
                let what = "`record` reads no configuration if --admin is given: remove --config or --admin";
                return Err(CommandFailure::Usage(what.into()));
            }
            Some(url) => probe::by_system(probe::parse(url)?)?,
            None => {
                let config = config::load_without_further_keys(&global.flags())?.config;
                token_file = token_file.or(config.admin_token_file.map(PathBuf::from));
                probe::by_configuration(&config.sidecar.admin)?
            }
        };
        let token = token_file.map(top::token).transpose()?;
        let mut url: Url = url.join("/recording").context("the URL cannot have a path")?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("sample_ratio", &self.sample_ratio.to_string());
            query.append_pair("callers", if self.callers { "true" } else { "false" });
            if let Some(span) = self.span {
                query.append_pair("seconds", &span.as_secs().max(1).to_string());
            }
        }
        let stop = (process.signals)().context("cannot listen for signals")?;
        let runtime = runtimes::small().context("cannot start a runtime")?;
        let mut recorded = RecordSummary::default();
        runtime.block_on(async {
            let (feed, environment) = self.open(url, trust.as_ref(), token).await?;
            let mut writer = Writer::live(&self.output, &environment).with_context(|| {
                format!("cannot write a recording to {}: name a new folder", self.output.display())
            })?;
            let ended = tokio::select! {
                biased;
                () = stop.drain() => {
                    recorded.is_complete = true;
                    Ok(())
                }
                ended = write(feed, &mut writer, &mut recorded) => ended,
            };
            writer.flush().context("cannot write the recording")?;
            ended
        })?;
        self.summarise(recorded)
    }

    /// Connects, and reads the first line.
    async fn open(
        &self,
        url: Url,
        trust: Option<&Trust>,
        token: Option<Zeroizing<String>>,
    ) -> anyhow::Result<(FeedReader, Environment)> {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = client.connect_timeout(CONNECT).read_timeout(SILENCE);
        let explain = |error| ask::explain(error, SILENCE);
        let client = tls::prepare(client, trust).build().map_err(explain)?;
        let mut request = client.get(url);
        if let Some(token) = &token {
            request = request.bearer_auth(&**token);
        }
        let response = request.send().await.map_err(explain).context("the admin address does not answer")?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                bail!("the admin address wants its token: name its file with --token-file")
            }
            StatusCode::NOT_FOUND => {
                bail!("this is no admin address of a sidecar that can record: its usual port is 9464")
            }
            status => {
                let why = response.text().await.unwrap_or_default();
                let why = why.lines().next().unwrap_or_default().escape_debug().to_string();
                bail!("the admin address answered {status}: {why}");
            }
        }
        let mut feed = FeedReader { response, held: Vec::new() };
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let first = feed.line().await?.ok_or_else(|| anyhow!("the admin address sent nothing"))?;
        let begins: Begins =
            serde_json::from_slice(&first).context("the admin address sends no recording")?;
        let upstream =
            |known: FeedUpstream| (known.name, Upstream { version: known.version, ..Upstream::default() });
        let upstreams: BTreeMap<String, Upstream> = begins.upstreams.into_iter().map(upstream).collect();
        let live = LiveTraffic { sample_ratio: self.sample_ratio, callers: self.callers };
        Ok((feed, Environment::of_live_traffic(live, began, upstreams)))
    }

    fn summarise(self, recorded: RecordSummary) -> Result<(), CommandFailure> {
        let folder = self.output.display();
        let lost = match recorded.lost {
            0 => String::new(),
            lost => format!(", and {lost} are missing because this program was too slow"),
        };
        output::print(format!(
            "{folder}: {} generations{lost}\nstreamgauge report {folder}\n",
            recorded.generations
        ))?;
        if recorded.is_complete {
            return Ok(());
        }
        Err(anyhow!("the sidecar ended before the recording did: what was recorded can be read").into())
    }
}

/// The lines of the sidecar.
struct FeedReader {
    response: Response,
    held: Vec<u8>,
}

impl FeedReader {
    /// Returns the next line that is not empty. `None`: the response ended.
    async fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held[searched..]) {
                let mut line: Vec<u8> = self.held.drain(..=searched + end).collect();
                line.pop();
                searched = 0;
                if !line.is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            searched = self.held.len();
            if searched > LIMIT {
                bail!("the admin address sends a line of more than 256 MiB");
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.held.extend_from_slice(&bytes),
                // A sidecar that ends or that does not answer any more cuts the connection.
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Writes until the sidecar says that the recording is over, or the connection ends.
async fn write(
    mut feed: FeedReader,
    writer: &mut Writer,
    recorded: &mut RecordSummary,
) -> anyhow::Result<()> {
    while let Some(line) = feed.line().await? {
        match serde_json::from_slice(&line).context("the admin address sends no recording")? {
            FeedLine::Ended { lost } => {
                (recorded.lost, recorded.is_complete) = (lost, true);
                return Ok(());
            }
            FeedLine::Generation(generation) => {
                let (row, chunks) = rows(*generation, recorded.generations);
                let written: io::Result<()> = writer.request(&row, &chunks).and_then(|()| writer.flush());
                written.context("cannot write the recording")?;
                recorded.generations += 1;
            }
        }
    }
    Ok(())
}
