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
/// again.
#[derive(Debug)]
pub(in crate::proxy) struct Lent {
    upload: Option<Upload>,
    owner: Option<Owner>,
}

/// The owner, which may take the body back.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Owner(Arc<Mutex<Option<Upload>>>);

impl Owner {
    /// The body, if it came back.
    pub(in crate::proxy) fn back(&self) -> Option<Upload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lent {
    /// Without an owner, the body is given away for good.
    pub(in crate::proxy) fn new(upload: Upload, owner: Option<Owner>) -> Lent {
        // The connection never asks for a frame of it.
        if upload.is_end_stream() {
            upload.live.request_sent();
        }
        Lent { upload: Some(upload), owner }
    }

    pub(in crate::proxy) fn progress(&self) -> Progress {
        self.upload.as_ref().map(|upload| upload.progress.clone()).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            *owner.0.lock().unwrap_or_else(PoisonError::into_inner) = self.upload.take();
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
        // A body that was read cannot be lent again.
        self.owner = None;
        match &mut self.upload {
            Some(upload) => Pin::new(upload).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upload.as_ref().is_none_or(Upload::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.upload.as_ref().map_or_else(|| SizeHint::with_exact(0), Upload::size_hint)
    }
}
