//! What both listeners know of a client's connection: whether it waits, whether its head comes, whether the
//! client is still there, and how it ends.

mod arrivals;
mod head;
mod late;
mod linger;
mod presence;
mod request_line;
mod waiting;

pub(crate) use head::Heads;
pub(crate) use late::{RequestLimits, Timer};
pub(crate) use linger::{Linger, Lingered};
pub(crate) use presence::Presence;
pub(crate) use waiting::{Attended, Late, Notice, Places, WaitingPlace};
