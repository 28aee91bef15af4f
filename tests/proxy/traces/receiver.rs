//! An endpoint of traces that a test directs.

use std::{collections::BTreeMap, net::SocketAddr};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::Event},
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::harness::soon;

/// The endpoint's treatment of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Takes all spans.
    Takes,
    /// Reads the request and never answers.
    Hangs,
    /// Takes all spans, and its answer has no end.
    Floods,
    /// Answers with this status.
    Answers(u16),
    /// Takes the request, and rejects this many spans.
    Rejects(i64),
}

/// A request that the endpoint got.
pub(crate) struct Posted {
    pub(crate) head: String,
    pub(crate) content: ExportTraceServiceRequest,
}

impl Posted {
    pub(crate) fn spans(self) -> Vec<Span> {
        let scopes = self.content.resource_spans.into_iter().flat_map(|of_resource| of_resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        let resource = self.content.resource_spans[0].resource.as_ref().unwrap();
        shown(&resource.attributes)
    }
}

pub(crate) struct Receiver {
    pub(crate) addr: SocketAddr,
    posted: mpsc::Receiver<Posted>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Receiver {
        Receiver::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    pub(crate) fn on(listener: TcpListener, manner: Manner) -> Receiver {
        let addr = listener.local_addr().unwrap();
        let (seen, posted) = mpsc::channel(4096);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move { serve(stream, manner, &seen).await });
            }
        });
        Receiver { addr, posted, task }
    }

    pub(crate) async fn posted(&mut self) -> Posted {
        soon(self.posted.recv()).await.expect("the endpoint runs")
    }

    /// The next span. It comes alone, because the test waits for each.
    pub(crate) async fn span(&mut self) -> Span {
        let mut spans = self.posted().await.spans();
        assert_eq!(spans.len(), 1);
        spans.remove(0)
    }

    /// The spans that have come and were not read.
    pub(crate) fn rest(&mut self) -> Vec<Span> {
        std::iter::from_fn(|| self.posted.try_recv().ok()).flat_map(Posted::spans).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: &mpsc::Sender<Posted>) {
    while let Some((head, body)) = read(&mut stream).await {
        let content = ExportTraceServiceRequest::decode(&*body).unwrap();
        if let Manner::Hangs = manner {
            let _ = seen.send(Posted { head, content }).await;
            return std::future::pending().await;
        }
        if let Manner::Floods = manner {
            let _ = seen.send(Posted { head, content }).await;
            let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            while stream.write_all(&answer).await.is_ok() {
                answer = vec![0; 4096];
            }
            return;
        }
        let (status, rejected_spans) = match manner {
            Manner::Answers(status) => (status, 0),
            Manner::Rejects(spans) => (200, spans),
            _ => (200, 0),
        };
        let partial_success = (rejected_spans > 0)
            .then(|| ExportTracePartialSuccess { rejected_spans, error_message: "no".to_owned() });
        let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let response = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", answer.len());
        if stream.write_all(&[response.as_bytes(), &answer].concat()).await.is_err() {
            return;
        }
        let _ = seen.send(Posted { head, content }).await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// Attributes as text.
pub(crate) fn shown(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|one| (one.key.clone(), text(one.value.as_ref().unwrap()))).collect()
}

fn text(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(truth) => truth.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(array) => array.values.iter().map(text).collect::<Vec<_>>().join(","),
        other => panic!("{other:?}"),
    }
}

/// The names of events without their first word.
pub(crate) fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.strip_prefix("streamgauge.").unwrap()).collect()
}
