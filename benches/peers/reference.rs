//! What a stream must say, learnt from the simulator itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use memchr::memmem;

use super::stream::Stream;

/// The records of one answer, without what differs from one time to the next: stamps and durations.
#[derive(Debug)]
pub(crate) struct Reference(Vec<(Vec<u8>, Vec<u8>)>);

impl Reference {
    /// Asks the simulator directly. Every further answer to the same prompt has the same words.
    pub(crate) async fn learn(simulator: SocketAddr) -> Result<Reference> {
        let mut stream = Stream::hurried(simulator).await?;
        let mut records = Vec::new();
        while let Some(record) = stream.record().await? {
            let (before, after) = settled(record).context("a record without a stamp")?;
            records.push((before.to_vec(), after.to_vec()));
        }
        Ok(Reference(records))
    }

    /// Records of the whole answer, the terminal one too.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Compares the record at a place, byte for byte.
    pub(crate) fn check(&self, place: usize, record: &[u8]) -> Result<()> {
        let (before, after) = self.0.get(place).context("more records than there are")?;
        let same = settled(record) == Some((before, after));
        ensure!(same, "record {place} came as {}", String::from_utf8_lossy(record));
        Ok(())
    }
}

/// What is before the stamp, and what is between it and the durations.
fn settled(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let stamp = memmem::find(record, b"\"created_at\":\"")? + b"\"created_at\":\"".len();
    let after = stamp + memchr::memchr(b'"', &record[stamp..])?;
    let end = memmem::find(&record[after..], b",\"total_duration\"").map_or(record.len(), |at| after + at);
    Some((&record[..stamp], &record[after..end]))
}
