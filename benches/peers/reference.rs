//! What a stream must say, learnt from the simulator itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use memchr::memmem;

use super::stream::{Ask, Stream};

/// The records of one answer, without what differs from one time to the next: stamps and durations. Of a chat, its
/// words: a gateway writes what is around them anew.
#[derive(Debug)]
pub(crate) struct Reference {
    ask: Ask,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Reference {
    /// Asks the simulator directly. Every further answer to the same prompt has the same words.
    pub(crate) async fn learn(simulator: SocketAddr) -> Result<Reference> {
        Reference::of(Ask::default(), simulator).await
    }

    /// The same, of something else.
    pub(crate) async fn of(ask: Ask, simulator: SocketAddr) -> Result<Reference> {
        let mut stream = Stream::hurried(simulator, ask).await?;
        let mut records = Vec::new();
        while let Some(record) = stream.record().await? {
            match settled(ask, record) {
                Some((before, after)) => records.push((before.to_vec(), after.to_vec())),
                None => ensure!(ask == Ask::Chat, "a record without a stamp"),
            }
        }
        Ok(Reference { ask, records })
    }

    /// What it is an answer to.
    pub(crate) fn ask(&self) -> Ask {
        self.ask
    }

    /// Records of the whole answer, the terminal one too.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Compares the record at a place, byte for byte. False: of a chat, it is no record with words.
    pub(crate) fn check(&self, place: usize, record: &[u8]) -> Result<bool> {
        let settled = settled(self.ask, record);
        if settled.is_none() && self.ask == Ask::Chat {
            return Ok(false);
        }
        let (before, after) = self.records.get(place).context("more records than there are")?;
        let same = settled == Some((before, after));
        ensure!(same, "record {place} came as {}", String::from_utf8_lossy(record));
        Ok(true)
    }
}

/// What is before the stamp, and what is between it and the durations. Of a chat, the words.
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
