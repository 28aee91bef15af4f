//! A program without TLS: the same names, of which there are no values.

use std::{io, time::Duration};

use reqwest::ClientBuilder;
use tokio::net::TcpStream;
use url::Url;

/// Who we are; it takes the feature `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {}

/// How an upstream is verified; it takes the feature `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The program has no TLS.
    #[error("this program was built without TLS")]
    Absent,
}

/// An upstream that speaks TLS.
#[derive(Debug)]
pub(crate) enum Peer {}

/// Every connection is plain.
pub(crate) type Stream<S = TcpStream> = S;

/// Leaves connections as they are.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor;

impl Acceptor {
    /// There is no identity to show.
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
