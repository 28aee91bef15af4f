//! A request body that comes back if nothing of it was read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Progress, Unread, Upload};

/// Lends a body to a connection. If the connection cannot be made, the body is dropped unread, and its owner has it
/// again. It is one pointer, since hyper keeps room for 32 requests as long as a connection lives.
#[derive(Debug)]
pub(in crate::proxy) struct Lent(Option<Box<Upload>>);

/// The owner, which may take the body back.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Owner(Arc<Mutex<Option<Box<Upload>>>>);

impl Owner {
    /// The body, if it came back.
    pub(in crate::proxy) fn back(&self) -> Option<Box<Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lent {
    /// Without an owner, the body is given away for good.
    pub(in crate::proxy) fn new(mut upload: Box<Upload>, owner: Option<Owner>) -> Lent {
        // The connection never asks for a frame of it.
        if upload.is_end_stream() {
            upload.live.request_sent();
        }
        upload.owner = owner;
        Lent(Some(upload))
    }

    pub(in crate::proxy) fn progress(&self) -> Progress {
        self.0.as_ref().map(|upload| upload.progress.clone()).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Some(owner) = upload.owner.take()
        {
            *owner.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = Unread;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let Some(upload) = &mut self.0 else { return Poll::Ready(None) };
        // A body that was read cannot be lent again.
        upload.owner = None;
        Pin::new(&mut **upload).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |upload| upload.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use prometheus::Registry;

    use super::{super::Share, super::ahead::Ahead, super::budget::Budget, *};
    use crate::meter::{Config, Facts, Meter};

    /// A body that was read ahead to its end.
    fn upload() -> Box<Upload> {
        let mut ahead = Ahead::new(Share::of(&Budget::register(1 << 20, &Registry::new()).unwrap()));
        ahead.push(Bytes::from_static(b"body"));
        let meter = Meter::register(&Registry::new(), &Config::default(), &["a"]).unwrap();
        let live = meter.start(Facts::new("POST", "/api/chat")).live().clone();
        Box::new(Upload {
            body: None,
            declared: SizeHint::with_exact(4),
            ahead,
            trailers: None,
            at_end: true,
            patience: None,
            progress: Progress::default(),
            live,
            owner: None,
        })
    }

    #[test]
    fn lent_body_comes_back_unless_it_was_read() {
        let owner = Owner::default();
        drop(Lent::new(upload(), Some(owner.clone())));
        let mut lent = Lent::new(owner.back().expect("nothing of it was read"), Some(owner.clone()));
        let frame = Pin::new(&mut lent).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
        drop(lent);
        assert!(owner.back().is_none());
    }
}
