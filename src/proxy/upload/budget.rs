//! The memory for bodies that are read ahead, shared by all requests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use prometheus::{Gauge, IntCounter, Registry};

use crate::metric::{Family, gauge, int_counter};

/// One request may use one part in this many, so that no request takes the memory of all others.
const PART: usize = 4;

/// Limits the bytes that all requests together hold beyond their `proxy.peek_limit`, with an error of one frame per
/// request.
#[derive(Debug)]
pub(in crate::proxy) struct Budget {
    limit: usize,
    held: AtomicUsize,
    shown: Arc<Gauge>,
    unread: Family<IntCounter, 1>,
}

/// Why a body was not read further, although its model was unknown or its usage should be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Short {
    /// The budget is used up.
    Budget,
    /// The body is longer than one request may hold.
    TooLong,
    /// The body cannot be decoded.
    Coding,
}

impl Short {
    const ALL: [Short; 3] = [Short::Budget, Short::TooLong, Short::Coding];

    const fn reason(self) -> &'static str {
        match self {
            Short::Budget => "budget",
            Short::TooLong => "too_long",
            Short::Coding => "coding",
        }
    }
}

impl Budget {
    pub(in crate::proxy) fn register(limit: usize, registry: &Registry) -> prometheus::Result<Arc<Budget>> {
        let shown = Family::register(
            registry,
            "read_ahead_bytes",
            "Bytes of request bodies that were read ahead and not forwarded yet.",
            [],
            gauge,
        )?;
        let unread = Family::register(
            registry,
            "read_ahead_stopped_total",
            "Requests whose body was not read far enough to find the model, by reason.",
            ["reason"],
            int_counter,
        )?;
        for short in Short::ALL {
            let _ = unread.child([short.reason()]);
        }
        Ok(Arc::new(Budget { limit, held: AtomicUsize::new(0), shown: shown.child([]), unread }))
    }

    /// The share of one request.
    pub(in crate::proxy) const fn of_one(&self) -> usize {
        self.limit / PART
    }

    fn left(&self) -> usize {
        self.limit.saturating_sub(self.held.load(Relaxed))
    }
}

/// The bytes that one request holds. They are given back as the body is forwarded, or when the request is dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Share {
    pub(in crate::proxy) fn of(budget: &Arc<Budget>) -> Share {
        Share { budget: budget.clone(), held: 0 }
    }

    /// A share for a copy of this many bytes; `None`: there is no room for them.
    pub(super) fn another(&self, bytes: usize) -> Option<Share> {
        let share = Share::of(&self.budget);
        share.is_short(bytes as u64).is_none().then_some(share)
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Why no more may be held, for a body with at least `to_come` more bytes.
    pub(super) fn is_short(&self, to_come: u64) -> Option<Short> {
        let to_come = usize::try_from(to_come).unwrap_or(usize::MAX).max(1);
        if to_come > self.budget.left() {
            let is_full = to_come <= self.budget.of_one();
            return Some(if is_full || self.budget.limit == 0 { Short::Budget } else { Short::TooLong });
        }
        (self.held.saturating_add(to_come) > self.budget.of_one()).then_some(Short::TooLong)
    }

    pub(super) fn stopped(&self, why: Short) {
        self.budget.unread.child([why.reason()]).inc();
    }

    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        self.budget.held.fetch_add(bytes, Relaxed);
        self.budget.shown.add(bytes as f64);
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.held -= bytes;
        self.budget.held.fetch_sub(bytes, Relaxed);
        self.budget.shown.sub(bytes as f64);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.held > 0 {
            self.give_back(self.held);
        }
    }
}
