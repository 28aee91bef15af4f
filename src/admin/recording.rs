//! `/recording`: the generations that end from now on, one JSON object on each line. It never contains a prompt or the
//! name of a caller.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep};

use super::{Admin, response::text};
use crate::recording::{Generation, Pseudonyms, Subscription};

/// An empty line is sent this often, so that each side notices when the other is gone.
const BEAT: Duration = Duration::from_secs(5);
/// The content type.
pub(super) const LINES: &str = "application/x-ndjson";
/// The longest recording.
const LONGEST: u64 = 7 * 24 * 3600;

/// The body of a response of the admin address.
#[derive(Debug)]
pub(super) enum AdminBody {
    /// Known when the response begins.
    Whole(Full<Bytes>),
    /// Goes on.
    Feed(Box<FeedBody>),
}

/// The generations that end, as they end.
#[derive(Debug)]
pub(super) struct FeedBody {
    subscription: Subscription,
    /// The pseudonyms of the callers. `None`: callers are not recorded.
    callers: Option<Pseudonyms>,
    began: Instant,
    /// `None`: no further generation is added.
    until: Option<Pin<Box<Sleep>>>,
    beat: Interval,
    head: Option<Bytes>,
    is_over: bool,
}

/// The parameters of a request to `/recording`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FeedQuery {
    seconds: u64,
    sample_ratio: f64,
    callers: bool,
}

impl FeedQuery {
    /// Reads the query. An error names the parameter that is wrong.
    fn of(query: &str) -> Result<FeedQuery, &'static str> {
        let mut asked = FeedQuery { seconds: LONGEST, sample_ratio: 1.0, callers: false };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "seconds" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
                    asked.seconds = seconds.ok_or("`seconds` must be a whole number from 1 to 604800")?;
                }
                "sample_ratio" => {
                    let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                    asked.sample_ratio = ratio.ok_or("`sample_ratio` must be a number from 0 to 1")?;
                }
                "callers" => {
                    asked.callers = value.parse().map_err(|_| "`callers` must be true or false")?;
                }
                _ => return Err("the parameters are `seconds`, `sample_ratio` and `callers`"),
            }
        }
        Ok(asked)
    }
}

impl Admin {
    /// Answers a GET of `/recording`.
    pub(super) fn recording(&self, request: &request::Parts) -> Response<AdminBody> {
        let refuse = |status, why: String| text(status, why).map(AdminBody::Whole);
        let asked = match FeedQuery::of(request.uri.query().unwrap_or_default()) {
            Ok(asked) => asked,
            Err(wrong) => return refuse(StatusCode::BAD_REQUEST, format!("{wrong}.\n")),
        };
        let Some(subscription) = self.recorder.subscribe(asked.sample_ratio) else {
            let why = "Four readers record already. Try again when one of them has ended.\n";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
        };
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let body = FeedBody {
            subscription,
            callers: asked.callers.then(Pseudonyms::new),
            began: Instant::now(),
            until: Some(Box::pin(sleep(Duration::from_secs(asked.seconds)))),
            beat,
            head: Some(line(&self.begins())),
            is_over: false,
        };
        let mut response = Response::new(AdminBody::Feed(Box::new(body)));
        let kind = HeaderValue::from_static(LINES);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    /// The first line: the upstreams.
    fn begins(&self) -> Value {
        let upstreams = self.upstreams.all().iter();
        let upstreams: Vec<Value> = upstreams
            .map(|upstream| json!({ "name": upstream.name(), "version": upstream.health().version }))
            .collect();
        json!({ "streamgauge": env!("CARGO_PKG_VERSION"), "upstreams": upstreams })
    }
}

impl FeedBody {
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(head));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            self.until = None;
            self.subscription.stop();
        }
        match self.subscription.poll_next(cx) {
            Poll::Ready(Some(stream)) => {
                Poll::Ready(Some(line(&json!(Generation::of(&stream, self.began, self.callers.as_ref())))))
            }
            Poll::Ready(None) => {
                self.is_over = true;
                Poll::Ready(Some(line(&json!({ "ended": true, "lost": self.subscription.lost() }))))
            }
            Poll::Pending => self.beat.poll_tick(cx).map(|_| Some(Bytes::from_static(b"\n"))),
        }
    }
}

impl Body for AdminBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            AdminBody::Whole(body) => Pin::new(body).poll_frame(cx),
            AdminBody::Feed(body) => body.poll_line(cx).map(|line| line.map(|line| Ok(Frame::data(line)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AdminBody::Whole(body) => body.is_end_stream(),
            AdminBody::Feed(body) => body.is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AdminBody::Whole(body) => body.size_hint(),
            AdminBody::Feed(_) => SizeHint::default(),
        }
    }
}

fn line(value: &Value) -> Bytes {
    let mut text = value.to_string();
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_read_and_each_mistake_is_named() {
        let asked = |seconds, sample_ratio, callers| Ok(FeedQuery { seconds, sample_ratio, callers });
        assert_eq!(FeedQuery::of(""), asked(LONGEST, 1.0, false));
        assert_eq!(FeedQuery::of("seconds=60&sample_ratio=0.5&callers=true"), asked(60, 0.5, true));
        for (query, part) in [
            ("seconds=0", "seconds"),
            ("seconds=1.5", "seconds"),
            ("sample_ratio=2", "sample_ratio"),
            ("sample_ratio=NaN", "sample_ratio"),
            ("callers=yes", "callers"),
            ("other=1", "parameters"),
        ] {
            assert!(FeedQuery::of(query).unwrap_err().contains(part), "{query}");
        }
    }
}
