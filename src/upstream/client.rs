//! Sends a request to an upstream, with its target unchanged and the frames of its body kept.

use std::{error::Error, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryFutureExt;
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
    /// The connection failed, with the reason.
    #[error("is unreachable: {0}")]
    Unreachable(String),
    /// The connection was not established within `upstreams.connect_timeout`.
    #[error("did not accept a connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The upstream accepted no part of the request for this long.
    #[error("accepted no part of the request for {0:?}")]
    Stalled(Duration),
    /// The connection was reset or cut before the head of the response was complete, or the head was invalid.
    #[error("gave no valid response: {0}")]
    Nonsense(String),
}

impl Unanswered {
    /// Whether nothing of the request was sent.
    #[must_use]
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Unanswered::Unreachable(_) | Unanswered::ConnectTimeout(_))
    }
}

/// The HTTP client of all upstreams, with a connection pool for each. Cheap to clone.
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
    /// A client of these upstreams, with the timeouts of `config`. An upstream that accepts no part of a request
    /// for `upload_timeout` has failed; zero: no limit.
    #[must_use]
    pub(crate) fn new(config: &Config, upstreams: &Upstreams, upload_timeout: Duration) -> Client<B> {
        let Config { connect_timeout, silence_timeout, .. } = *config;
        let limits = LinkLimits { connect: connect_timeout, upload: upload_timeout };
        let to = upstreams.all().iter().map(|one| Pool::new(one.clone(), limits)).collect();
        Client { to, connect_timeout, silence_timeout }
    }

    /// Sends a request, whose URI is in origin form, to one of the client's upstreams. Dropping the future closes
    /// the connection.
    ///
    /// # Errors
    /// No response came.
    pub(crate) fn send(
        &self,
        upstream: &Upstream,
        mut request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + Send {
        let target = std::mem::take(request.uri_mut());
        *request.uri_mut() = at(upstream, target);
        let answering = self.to[upstream.position()].connections().request(request);
        answering.map_err(|error| self.unanswered(&error))
    }

    /// Wraps the body of a response. `busy` is held until the body is dropped, which closes the connection unless
    /// the body is complete. `excuse` belongs to the body of the request.
    #[must_use]
    pub(crate) fn take(&self, response: Response<Incoming>, busy: Busy, excuse: Excuse) -> Response<Answer> {
        let is_success = response.status().is_success();
        response.map(|body| Answer::new(body, is_success, self.silence_timeout, busy, excuse))
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

/// The target at an upstream. Path and query stay byte for byte.
fn at(upstream: &Upstream, target: Uri) -> Uri {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if upstream.peer().is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = Some(upstream.authority().clone());
    // Only the authority form of CONNECT has no path, and CONNECT is refused earlier.
    parts.path_and_query =
        Some(target.into_parts().path_and_query.unwrap_or_else(|| uri::PathAndQuery::from_static("/")));
    Uri::from_parts(parts).expect("scheme, authority and path are set")
}

/// The first cause, without the layers of errors around it.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
