//! The story of one request: read, choose, forward, measure.

mod families;
mod forward;
mod headers;
mod listen;
mod log;
mod respond;
mod upload;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

pub(crate) use listen::{Counts, Draining, Listener};

use crate::{
    meter::{Delivered, Facts, Measurement, Meter},
    upstream::{self, Upstreams},
};
use families::Families;
use respond::{Failure, Outgoing};
use upload::Upload;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; more are turned away.
    pub max_connections: usize,
    /// A client that sends its head slower than this is cut off.
    pub header_timeout: Duration,
    /// A client that stops sending its body for this long is cut off.
    pub body_idle_timeout: Duration,
    /// The longest request head, bytes; at least 8 KiB.
    pub max_head: usize,
    /// How much of a JSON body is read ahead, bytes.
    pub peek_limit: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 11440)),
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(60),
            max_head: 64 << 10,
            peek_limit: 1 << 20,
        }
    }
}

/// Forwards requests and measures them.
#[derive(Debug)]
pub(crate) struct Proxy {
    config: Config,
    upstream: upstream::Config,
    upstreams: Arc<Upstreams>,
    client: upstream::Client<Upload>,
    meter: Meter,
    families: Families,
}

impl Proxy {
    pub(crate) fn new(
        config: Config,
        upstream: upstream::Config,
        upstreams: Arc<Upstreams>,
        meter: Meter,
        registry: &prometheus::Registry,
    ) -> prometheus::Result<Proxy> {
        let client = upstream::Client::new(&upstream);
        let families = Families::register(registry)?;
        Ok(Proxy { config, upstream, upstreams, client, meter, families })
    }

    /// The same, with connections to upstreams of its own.
    fn again(&self) -> Proxy {
        Proxy {
            config: self.config.clone(),
            client: upstream::Client::new(&self.upstream),
            upstream: self.upstream.clone(),
            upstreams: self.upstreams.clone(),
            meter: self.meter.clone(),
            families: self.families.clone(),
        }
    }

    /// Answers a request. Dropping the future ends it, and what it asked of an upstream.
    async fn answer(&self, request: Request<Incoming>) -> Response<Delivered<Outgoing>> {
        let facts = Facts::new(request.method().as_str(), request.uri().path());
        let mut measurement = self.meter.start(facts);
        measurement.on_end(log::ending);
        match self.forward(request, facts, &mut measurement).await {
            Ok(response) => self.deliver(response, measurement),
            Err(failure) => self.fail(&failure, facts, measurement),
        }
    }

    async fn forward(
        &self,
        request: Request<Incoming>,
        facts: Facts,
        measurement: &mut Measurement,
    ) -> Result<Response<upstream::Answer>, Failure> {
        let (mut head, body) = request.into_parts();
        headers::check(&head)?;

        // The model is known before an upstream is chosen, and hyper sees a client leave once its body is read.
        let mut upload = Upload::new(body, self.config.body_idle_timeout, measurement.live().clone());
        if facts.route.reads_body_ahead() {
            let ahead = upload.read_ahead(self.config.peek_limit).await?;
            if let Some(model) = crate::protocol::Peek::read(ahead).model {
                measurement.model(&model);
            }
        }

        let upstream = self.upstreams.choose(facts.route, measurement.canonical_model());
        measurement.chosen(upstream.name());
        headers::towards(&mut head, upstream.host());
        let response = self.send(upstream, Request::from_parts(head, upload), measurement.live()).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Switched { upstream: upstream.name().to_owned() });
        }
        Ok(response)
    }

    /// Hands an upstream's response on, measured.
    fn deliver(
        &self,
        response: Response<upstream::Answer>,
        mut measurement: Measurement,
    ) -> Response<Delivered<Outgoing>> {
        let (mut head, body) = response.into_parts();
        head.version = http::Version::HTTP_11;
        headers::strip(&mut head.headers);
        measurement.responded(head.status);
        let (tap, delivered) = measurement.split(headers::content_type(&head.headers), body);
        Response::from_parts(head, delivered.wrap(Outgoing::Forwarded { body: tap }))
    }

    /// Says why there is no response of an upstream's.
    fn fail(
        &self,
        failure: &Failure,
        facts: Facts,
        mut measurement: Measurement,
    ) -> Response<Delivered<Outgoing>> {
        match failure {
            Failure::Malformed(why) => self.families.malformed(why.reason()),
            Failure::Unread(why) => self.families.unread(*why),
            _ => tracing::warn!(id = measurement.live().id(), route = facts.route.label(), "{failure}"),
        }
        measurement.responded(failure.status());
        measurement.decide(failure.outcome());
        failure.response(facts.dialect).map(|body| measurement.deliver(body))
    }
}
