//! The folder of a recording of live traffic: parts one after another, within a bound on the disk.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::recorded_rows::rows;
use crate::{
    experiment::recording::{Environment, LiveTraffic, Upstream, Writer, is_part},
    recording::{Generation, Pseudonyms, RecordedStream, Stored, StreamSink},
};

/// A part holds this much time at most.
const LONGEST: Duration = Duration::from_secs(3600);
/// A part holds this share of the bound at most, so that the removal of the oldest one leaves most of the recording.
const PARTS: u64 = 8;
/// After a failure, the next part is tried after this time.
const PAUSE: Duration = Duration::from_secs(10);
/// The names that are tried for a part.
const TRIES: u32 = 100;
/// About the bytes of a request's row, and of a chunk's row.
const ROW: (u64, u64) = (256, 48);

/// The Ollamas as far as they are known now.
type UpstreamReader = Box<dyn Fn() -> BTreeMap<String, Upstream> + Send>;

/// Settings of the folder.
#[derive(Clone, Debug)]
pub(super) struct FolderConfig {
    pub(super) path: PathBuf,
    /// The most bytes of all parts.
    pub(super) most: u64,
    pub(super) live: LiveTraffic,
}

/// A folder with one recording for each part.
pub(super) struct RecordingFolder {
    config: FolderConfig,
    upstreams: UpstreamReader,
    /// Those of the callers, in all parts of this start of the sidecar.
    pseudonyms: Pseudonyms,
    /// The zero of the clock of all parts.
    began: Instant,
    began_unix: f64,
    /// The parts that are complete, the oldest first.
    parts: VecDeque<Part>,
    open: Option<OpenPart>,
    removed: u64,
    failed: Option<(Instant, String)>,
}

struct Part {
    path: PathBuf,
    bytes: u64,
}

struct OpenPart {
    path: PathBuf,
    writer: Writer,
    since: Instant,
    agents: u32,
    bytes: u64,
    /// About the bytes that are not flushed.
    pending: u64,
    environment: Environment,
}

impl RecordingFolder {
    /// Creates the folder if there is none, and finds the parts in it.
    pub(super) fn open(config: FolderConfig, upstreams: UpstreamReader) -> io::Result<RecordingFolder> {
        fs::create_dir_all(&config.path)?;
        let mut found: Vec<PathBuf> = fs::read_dir(&config.path)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| holds_part(path))
            .collect();
        found.sort();
        let parts = found.into_iter().map(|path| Part { bytes: size(&path), path }).collect();
        let began_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(RecordingFolder {
            config,
            upstreams,
            pseudonyms: Pseudonyms::new(),
            began: Instant::now(),
            began_unix,
            parts,
            open: None,
            removed: 0,
            failed: None,
        })
    }

    /// Returns the part for the next request.
    fn part(&mut self) -> io::Result<&mut OpenPart> {
        let most = self.config.most / PARTS;
        let is_full = |part: &OpenPart| part.bytes + part.pending >= most || part.since.elapsed() >= LONGEST;
        if self.open.as_ref().is_some_and(is_full) {
            self.close()?;
        }
        if let Some((at, why)) = &self.failed
            && at.elapsed() < PAUSE
        {
            return Err(io::Error::other(why.clone()));
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        self.failed = None;
        Ok(self.open.insert(open))
    }

    fn begin(&self) -> io::Result<OpenPart> {
        let environment = Environment::of_live_traffic(self.config.live, self.began_unix, (self.upstreams)());
        for tries_left in (0..TRIES).rev() {
            let name =
                humantime::format_rfc3339_micros(SystemTime::now()).to_string().replace(['-', ':'], "");
            let path = self.config.path.join(name);
            match Writer::live(&path, &environment) {
                // Another part began in the same microsecond, or a file has the name of the folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries_left > 0 => {}
                Err(error) => return Err(error),
                Ok(writer) => {
                    let since = Instant::now();
                    return Ok(OpenPart {
                        path,
                        writer,
                        since,
                        agents: 0,
                        bytes: 0,
                        pending: 0,
                        environment,
                    });
                }
            }
        }
        Err(io::Error::other("every name for a part of the recording is taken"))
    }

    /// Ends the open part.
    fn close(&mut self) -> io::Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let flushed = open.writer.flush();
        let path = std::mem::take(&mut open.path);
        drop(open);
        self.parts.push_back(Part { bytes: size(&path), path });
        flushed
    }

    /// Gives up a part that cannot be written. What it holds can be read.
    fn fail(&mut self, error: &io::Error) {
        let _ = self.close();
        self.failed.get_or_insert_with(|| (Instant::now(), error.to_string()));
    }

    /// Removes the oldest parts until all parts are within the bound.
    fn keep_bound(&mut self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.bytes);
        let mut bytes = open + self.parts.iter().map(|part| part.bytes).sum::<u64>();
        while bytes > self.config.most
            && let Some(oldest) = self.parts.pop_front()
        {
            let part = oldest.path.display();
            match fs::remove_dir_all(&oldest.path) {
                Ok(()) => {
                    self.removed += 1;
                    tracing::info!(%part, "the oldest part of the recording was removed: the folder was full");
                }
                Err(error) => {
                    tracing::warn!(%part, %error, "the oldest part of the recording cannot be removed");
                }
            }
            bytes -= oldest.bytes;
        }
        bytes
    }
}

impl StreamSink for RecordingFolder {
    fn write(&mut self, stream: &RecordedStream) -> io::Result<()> {
        let callers = self.config.live.callers.then_some(&self.pseudonyms);
        let generation = Generation::of(stream, self.began, callers);
        let written = self.part().and_then(|part| {
            let (row, chunks) = rows(generation, part.agents);
            part.agents += 1;
            part.pending += ROW.0 + ROW.1 * chunks.len() as u64;
            part.writer.request(&row, &chunks)
        });
        written.inspect_err(|error| self.fail(error))
    }

    fn flush(&mut self) -> io::Result<Stored> {
        if let Some(open) = &mut self.open {
            let upstreams = (self.upstreams)();
            // The version of an Ollama is known after its first probe.
            let described = if open.environment.upstreams == upstreams {
                Ok(())
            } else {
                open.environment.upstreams = upstreams;
                Writer::describe(&open.path, &open.environment)
            };
            let flushed = described.and_then(|()| open.writer.flush()).and_then(|()| open.writer.bytes());
            match flushed {
                Ok(bytes) => (open.bytes, open.pending) = (bytes, 0),
                Err(error) => {
                    self.fail(&error);
                    return Err(error);
                }
            }
        }
        Ok(Stored { bytes: self.keep_bound(), removed: self.removed })
    }
}

/// Whether a folder has the name of a part, and holds a recording.
fn holds_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    is_part(name) && path.join("runs.csv").is_file()
}

fn size(path: &Path) -> u64 {
    let files = fs::read_dir(path).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use prometheus::Registry;

    use super::*;
    use crate::{
        analysis::Settings,
        experiment::recording::{Recorded, read_all},
        meter::{self, ChunkBudget, Facts, Meter, Outcome},
    };

    fn folder(path: &Path, most: u64) -> RecordingFolder {
        let live = LiveTraffic { sample_ratio: 1.0, callers: false };
        let config = FolderConfig { path: path.to_owned(), most, live };
        RecordingFolder::open(config, Box::new(BTreeMap::new)).unwrap()
    }

    /// A generation without a response.
    fn stream(outcome: Outcome) -> RecordedStream {
        let meter = Meter::register(&Registry::new(), &meter::Config::default(), &["gpu0"]).unwrap();
        let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
        measurement.keep_chunks(ChunkBudget::new(0));
        let (live, (tell, told)) = (measurement.live().clone(), sync_channel(1));
        measurement.called_by("alice");
        measurement.on_end(move |ending| tell.send(ending.clone()).unwrap());
        measurement.finish(outcome);
        RecordedStream::new(Instant::now(), told.recv().unwrap(), live.take_chunks().unwrap())
    }

    fn read(path: &Path) -> Recorded {
        let [recorded] = &mut read_all(path, &Settings::default(), &mut |_| {}).unwrap()[..] else {
            panic!("the parts are not joined")
        };
        assert_eq!(recorded.problems, []);
        recorded.clone()
    }

    #[tokio::test]
    async fn full_folder_loses_its_oldest_parts_only_and_is_read_as_one_recording() {
        let root = tempfile::TempDir::new().unwrap();
        // A folder that is no part of a recording stays.
        let [foreign, others] = ["notes", "20200101T000000.000000Z"].map(|name| root.path().join(name));
        fs::create_dir(&foreign).unwrap();
        fs::create_dir(&others).unwrap();
        fs::write(foreign.join("keep.txt"), "x".repeat(100_000)).unwrap();
        let most = 32 << 10;
        let mut sink = folder(root.path(), most);
        let mut stored = Stored::default();
        for _ in 0..500 {
            sink.write(&stream(Outcome::Complete)).unwrap();
            stored = sink.flush().unwrap();
            assert!(stored.bytes <= most, "{stored:?}");
        }
        assert!(stored.removed > 3, "{stored:?}");
        drop(sink);
        assert!(foreign.join("keep.txt").exists() && others.exists());
        let kept = read(root.path()).recording;
        let numbers: Vec<u32> = kept.agents.iter().map(|agent| agent.agent).collect();
        assert!(numbers.len() > 50 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(kept.agents.is_sorted_by(|a, b| a.started <= b.started));
        // The next start continues with the parts of this one, and keeps the bound.
        let mut next = folder(root.path(), most / 2);
        next.write(&stream(Outcome::Complete)).unwrap();
        let after = next.flush().unwrap();
        assert!(after.bytes <= most / 2 && after.removed > 0, "{after:?}");
    }

    #[tokio::test]
    async fn part_that_vanished_is_not_counted_as_removed() {
        let root = tempfile::TempDir::new().unwrap();
        let mut sink = folder(root.path(), 32 << 10);
        while sink.parts.len() < 2 {
            sink.write(&stream(Outcome::Complete)).unwrap();
            sink.flush().unwrap();
        }
        let [vanished, next] = [0, 1].map(|part| sink.parts[part].path.clone());
        fs::remove_dir_all(&vanished).unwrap();
        let mut stored = Stored::default();
        while sink.parts[0].path == vanished {
            sink.write(&stream(Outcome::Complete)).unwrap();
            stored = sink.flush().unwrap();
        }
        assert_eq!((&sink.parts[0].path, stored.removed), (&next, 0));
    }

    #[tokio::test]
    async fn caller_is_recorded_by_pseudonym_only_if_it_is_wanted_and_failure_has_its_reason() {
        let root = tempfile::TempDir::new().unwrap();
        let mut sink = folder(root.path(), 1 << 20);
        sink.write(&stream(Outcome::ClientAbort)).unwrap();
        sink.config.live.callers = true;
        sink.write(&stream(Outcome::Truncated)).unwrap();
        sink.flush().unwrap();
        let recording = read(root.path()).recording;
        let [left, cut] = &recording.agents[..] else { panic!("{:?}", recording.agents) };
        assert_eq!(
            (left.role.as_str(), left.failure.as_deref()),
            ("unknown", Some("the client disconnected"))
        );
        assert!(cut.role.starts_with("caller-") && cut.role == sink.pseudonyms.of("alice"), "{}", cut.role);
        assert_eq!(cut.failure.as_deref(), Some("the stream ended without its last record"));
        let part = fs::read_dir(root.path()).unwrap().next().unwrap().unwrap().path();
        for file in fs::read_dir(part).unwrap() {
            let path = file.unwrap().path();
            assert!(!fs::read_to_string(&path).unwrap().contains("alice"), "{}", path.display());
        }
    }

    #[tokio::test]
    async fn folder_that_vanishes_costs_counted_generations_and_is_tried_again_later() {
        let root = tempfile::TempDir::new().unwrap();
        let path = root.path().join("recording");
        let mut sink = folder(&path, 1 << 20);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "a file in its place").unwrap();
        sink.write(&stream(Outcome::Complete)).unwrap_err();
        fs::remove_file(&path).unwrap();
        // Within the pause, the reason is repeated.
        let why = sink.write(&stream(Outcome::Complete)).unwrap_err();
        assert!(why.to_string().contains("recording"), "{why}");
        tokio::time::pause();
        tokio::time::advance(PAUSE).await;
        sink.write(&stream(Outcome::Complete)).unwrap();
        sink.flush().unwrap();
        assert_eq!(read(&path).recording.agents.len(), 1);
    }
}
