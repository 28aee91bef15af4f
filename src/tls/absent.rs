//! The types of TLS for a program without it. They have no values.

use std::{io, time::Duration};

use reqwest::ClientBuilder;
use tokio::net::TcpStream;
use url::Url;

/// A server certificate. It needs the feature `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {}

/// The verification of an upstream. It needs the feature `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The program has no TLS.
    #[error("this program was built without TLS: build it with the feature `tls`")]
    Absent,
}

/// An upstream that speaks TLS.
#[derive(Debug)]
pub(crate) enum Peer {}

/// Every connection is plain.
pub(crate) type Stream<S = TcpStream> = S;

/// Returns each connection unchanged.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor;

impl Acceptor {
    /// There is no certificate to present.
    pub(crate) fn new(_: Option<&Identity>) -> Acceptor {
        Acceptor
    }

    pub(crate) fn is_secured(&self) -> bool {
        false
    }

    pub(crate) fn renew(&self, _: Option<&Identity>) {}

    pub(crate) async fn accept(&self, stream: TcpStream, _: Duration) -> io::Result<Stream> {
        Ok(stream)
    }
}

impl Peer {
    pub(crate) fn new(_: &Url, _: Option<&Trust>) -> Result<Peer, Unusable> {
        Err(Unusable::Absent)
    }

    pub(crate) fn trust(&self) -> Trust {
        match *self {}
    }

    pub(crate) fn renew(&self, _: Option<&Trust>) -> Result<(), Unusable> {
        match *self {}
    }

    pub(crate) async fn connect<S>(&self, _: S) -> io::Result<Stream<S>> {
        match *self {}
    }
}

pub(crate) fn plain<S>(socket: S) -> Stream<S> {
    socket
}

pub(crate) fn socket<S>(stream: &Stream<S>) -> &S {
    stream
}

pub(crate) fn prepare(builder: ClientBuilder, _: Option<&Trust>) -> ClientBuilder {
    builder
}
