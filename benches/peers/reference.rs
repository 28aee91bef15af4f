//! The expected text of a stream, from the simulator itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use memchr::memmem;

use super::stream::{Ask, Stream};

/// The records of one response without the parts that differ each time: stamps and durations. For a chat, its text
/// only, since a gateway rewrites everything else.
#[derive(Debug)]
pub(crate) struct Reference {
    ask: Ask,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Reference {
    /// Asks the simulator directly. Every further response to the same prompt has the same text.
    pub(crate) async fn learn(simulator: SocketAddr) -> Result<Reference> {
        Reference::of(Ask::default(), simulator).await
    }

    /// The same for another kind of request.
    pub(crate) async fn of(ask: Ask, simulator: SocketAddr) -> Result<Reference> {
        let mut stream = Stream::hurried(simulator, ask).await?;
        let mut records = Vec::new();
        while let Some(record) = stream.record().await? {
            match settled(ask, record) {
                Some((before, after)) => records.push((before.to_vec(), after.to_vec())),
                None => ensure!(ask == Ask::Chat, "a record has no stamp"),
            }
        }
        Ok(Reference { ask, records })
    }

    /// The kind of request.
    pub(crate) fn ask(&self) -> Ask {
        self.ask
    }

    /// The number of records of the whole response, including the last one.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Compares the record at a position byte for byte. Returns false for a record of a chat without text.
    pub(crate) fn check(&self, place: usize, record: &[u8]) -> Result<bool> {
        let settled = settled(self.ask, record);
        if settled.is_none() && self.ask == Ask::Chat {
            return Ok(false);
        }
        let (before, after) = self.records.get(place).context("there are too many records")?;
        let same = settled == Some((before, after));
        ensure!(same, "record {place} differs: {}", String::from_utf8_lossy(record));
        Ok(true)
    }
}

/// The part before the stamp, and the part between it and the durations. For a chat, the text.
fn settled(ask: Ask, record: &[u8]) -> Option<(&[u8], &[u8])> {
    if ask == Ask::Chat {
        let key = b"\"content\":\"";
        let words = &record[memmem::find(record, key)? + key.len()..];
        let words = &words[..memchr::memchr(b'"', words)?];
        return (!words.is_empty()).then_some((words, b""));
    }
    let stamp = memmem::find(record, b"\"created_at\":\"")? + b"\"created_at\":\"".len();
    let after = stamp + memchr::memchr(b'"', &record[stamp..])?;
    let end = memmem::find(&record[after..], b",\"total_duration\"").map_or(record.len(), |at| after + at);
    Some((&record[..stamp], &record[after..end]))
}
