//! The chunks of a stream that is recorded. Other streams keep none.

use std::{
    mem,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// The chunks for which a stream first asks for room. Whenever it has none left, it asks for as much again.
const FIRST: usize = 64;

/// One chunk of a recorded stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptChunk {
    /// The time of its arrival, since the request was accepted.
    pub at: Duration,
    /// Its size in bytes.
    pub bytes: u32,
    /// The records that ended in it.
    pub records: u32,
    /// The streams that decoded at the upstream when it arrived, its own included. 0: not known.
    pub streams: u32,
}

/// The number of chunks that all recorded streams together may keep.
#[derive(Debug)]
pub struct ChunkBudget(AtomicUsize);

impl ChunkBudget {
    /// Creates a budget of this many chunks.
    #[must_use]
    pub fn new(chunks: usize) -> Arc<ChunkBudget> {
        Arc::new(ChunkBudget(AtomicUsize::new(chunks)))
    }

    fn take(&self, chunks: usize) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(chunks)).is_ok()
    }
}

/// The chunks of one stream, in the order of their arrival. Their room is given back when they are dropped.
#[derive(Debug)]
pub struct KeptChunks {
    budget: Arc<ChunkBudget>,
    chunks: Vec<KeptChunk>,
    /// The room that was taken from the budget.
    room: usize,
    lost: u64,
    lost_bytes: u64,
}

impl KeptChunks {
    fn new(budget: Arc<ChunkBudget>) -> KeptChunks {
        KeptChunks { budget, chunks: Vec::new(), room: 0, lost: 0, lost_bytes: 0 }
    }

    /// Returns the chunks.
    #[must_use]
    pub fn chunks(&self) -> &[KeptChunk] {
        &self.chunks
    }

    /// Returns the number of later chunks for which the budget had no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the bytes of all chunks, the lost ones included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lost_bytes + self.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum::<u64>()
    }

    /// Keeps a chunk. After the first one without room, none is kept, so that the kept ones have no hole.
    fn push(&mut self, chunk: KeptChunk) {
        if self.lost > 0 || !self.has_room() {
            self.lost += 1;
            self.lost_bytes += u64::from(chunk.bytes);
        } else {
            self.chunks.push(chunk);
        }
    }

    fn has_room(&mut self) -> bool {
        if self.chunks.len() < self.room {
            return true;
        }
        let more = self.room.max(FIRST);
        let is_granted = self.budget.take(more);
        if is_granted {
            self.chunks.reserve_exact(more);
            self.room += more;
        }
        is_granted
    }

    /// Takes the chunks out.
    fn take(&mut self) -> KeptChunks {
        let empty = KeptChunks::new(self.budget.clone());
        mem::replace(self, empty)
    }
}

impl Drop for KeptChunks {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.room, Relaxed);
    }
}

/// The chunks of a running request, if they are kept. If not, it costs a look at one pointer for each chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkLog(OnceLock<Box<Mutex<KeptChunks>>>);

impl ChunkLog {
    /// From now on, keeps the chunks.
    pub(super) fn begin(&self, budget: Arc<ChunkBudget>) {
        // A second call changes nothing.
        let _ = self.0.set(Box::new(Mutex::new(KeptChunks::new(budget))));
    }

    /// Whether the chunks are kept.
    pub(super) fn is_on(&self) -> bool {
        self.0.get().is_some()
    }

    pub(super) fn push(&self, chunk: KeptChunk) {
        if let Some(chunks) = self.0.get() {
            chunks.lock().unwrap_or_else(PoisonError::into_inner).push(chunk);
        }
    }

    /// Takes the chunks out. `None`: they are not kept.
    pub(super) fn take(&self) -> Option<KeptChunks> {
        Some(self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: u32) -> KeptChunk {
        KeptChunk { at: Duration::from_millis(number.into()), bytes: 10, records: 1, streams: 1 }
    }

    #[test]
    fn stream_beyond_budget_keeps_its_first_chunks_and_counts_the_others() {
        let budget = ChunkBudget::new(3 * FIRST);
        let mut kept = KeptChunks::new(budget.clone());
        // 64, and 64 more; the next 128 exceed the budget.
        (0..1000).for_each(|number| kept.push(chunk(number)));
        assert_eq!((kept.chunks().len(), kept.lost(), kept.bytes()), (2 * FIRST, 1000 - 128, 10_000));
        assert_eq!(kept.chunks()[127], chunk(127));
        let mut other = KeptChunks::new(budget.clone());
        (0..65).for_each(|number| other.push(chunk(number)));
        assert_eq!((other.chunks().len(), other.lost()), (FIRST, 1));
        let taken = kept.take();
        assert_eq!((kept.chunks().len(), taken.chunks().len()), (0, 128));
        drop((kept, taken, other));
        assert_eq!(budget.0.load(Relaxed), 3 * FIRST);
    }
}
