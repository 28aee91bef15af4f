//! Forwards a request: its target as it came, its frames kept.

use std::{error::Error, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy;

use super::{
    Answer, Busy, Config, Excuse, Upstream, Upstreams,
    link::LinkLimits,
    pool::{MAX_FIELDS, MAX_HEAD, Pool},
    socket::Stalled,
};

/// Why an upstream gave no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// No connection, and why.
    #[error("is unreachable: {0}")]
    Unreachable(String),
    /// No connection within `upstreams.connect_timeout`.
    #[error("did not take a connection within {0:?}")]
    ConnectTimeout(Duration),
    /// It took nothing of the request for so long.
    #[error("took nothing of the request for {0:?}")]
    Stalled(Duration),
    /// It took a connection, which was reset, cut, or answered with nonsense before the end of the head.
    #[error("gave no sensible response: {0}")]
    Nonsense(String),
}

impl Unanswered {
    /// Nothing of the request was sent.
    #[must_use]
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Unanswered::Unreachable(_) | Unanswered::ConnectTimeout(_))
    }
}

/// A client of every upstream, with connections to each. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client<B> {
    /// In the order of the settings.
    to: Arc<[Pool<B>]>,
    connect_timeout: Duration,
    silence_timeout: Duration,
}

impl<B> Client<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// A client of these upstreams, with the settings' time-outs. An upstream that takes nothing of a request for
    /// `upload_timeout` has failed; zero is no limit.
    #[must_use]
    pub(crate) fn new(config: &Config, upstreams: &Upstreams, upload_timeout: Duration) -> Client<B> {
        let Config { connect_timeout, silence_timeout, .. } = *config;
        let limits = LinkLimits { connect: connect_timeout, upload: upload_timeout };
        let to = upstreams.all().iter().map(|one| Pool::new(one.clone(), limits)).collect();
        Client { to, connect_timeout, silence_timeout }
    }

    /// Sends a request, whose URI is in origin form, to one of the upstreams that it was made for. Dropping the
    /// future closes the connection.
    ///
    /// # Errors
    /// No response came.
    pub(crate) async fn send(
        &self,
        upstream: &Upstream,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let target = std::mem::take(request.uri_mut());
        *request.uri_mut() = at(upstream, target);
        let connections = self.to[upstream.position()].connections();
        connections.request(request.map(Box::new)).await.map_err(|error| self.unanswered(&error))
    }

    /// Takes the response that came. `busy` is held until its body is dropped, which closes the connection
    /// unless it is at its end. `excuse` is that of the request's body.
    #[must_use]
    pub(crate) fn take(&self, response: Response<Incoming>, busy: Busy, excuse: Excuse) -> Response<Answer> {
        response.map(|body| Answer::new(body, self.silence_timeout, busy, excuse))
    }

    fn unanswered(&self, error: &legacy::Error) -> Unanswered {
        let root = root(error);
        let of_io = root.downcast_ref::<io::Error>();
        if !error.is_connect() {
            if let Some(Stalled(limit)) = of_io.and_then(Stalled::of) {
                return Unanswered::Stalled(limit);
            }
            let is_too_large = root.downcast_ref().is_some_and(hyper::Error::is_parse_too_large);
            return Unanswered::Nonsense(if is_too_large {
                format!("its head has more than {MAX_FIELDS} header fields or more than {MAX_HEAD} bytes")
            } else {
                root.to_string()
            });
        }
        if of_io.is_some_and(|root| root.kind() == io::ErrorKind::TimedOut) {
            Unanswered::ConnectTimeout(self.connect_timeout)
        } else {
            Unanswered::Unreachable(root.to_string())
        }
    }
}

/// A target at an upstream. Path and query stay byte for byte.
fn at(upstream: &Upstream, target: Uri) -> Uri {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if upstream.peer().is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = Some(upstream.authority().clone());
    // Absent only in the authority form of CONNECT, which is refused before.
    parts.path_and_query =
        Some(target.into_parts().path_and_query.unwrap_or_else(|| uri::PathAndQuery::from_static("/")));
    Uri::from_parts(parts).expect("all parts are there")
}

/// The first cause: what happened, without the layers that it came through.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
