//! The state of a client's connection, for both listeners: whether it waits for a request, whether a request head
//! is arriving, whether the client is still there, and how the connection closes.

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
