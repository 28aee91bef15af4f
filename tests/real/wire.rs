//! Responses as they are on the wire: their chunks, and the shape of their contents.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::process::PATIENCE;

/// A request, byte for byte except for `Host` and `Content-Length`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// A response, with each chunk of its body separate.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The header fields by name as written, sorted by name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Request {
        Request { method, path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub(crate) fn post(path: &str, body: &serde_json::Value) -> Request {
        Request::new("POST", path).with("Content-Type", "application/json").of(body.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn of(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// Sends a request to a server at `http://HOST:PORT`.
    pub(crate) fn ask(&self, url: &str) -> Response {
        let host = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(self.body.as_deref().unwrap_or_default()).unwrap();
        Response::read(&mut BufReader::new(stream), self.method == "HEAD")
    }
}

impl Response {
    fn read(stream: &mut impl BufRead, is_head: bool) -> Response {
        let status = line(stream).split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            let header = line(stream);
            let Some((name, value)) = header.split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let mut chunks = Vec::new();
        if is_head {
        } else if headers.contains_key("Transfer-Encoding") {
            // A stream that breaks off has no last chunk.
            while let Some(size) = Some(line(stream)).filter(|size| !size.is_empty()) {
                let size = usize::from_str_radix(&size, 16).unwrap();
                let mut chunk = vec![0; size];
                stream.read_exact(&mut chunk).unwrap();
                assert_eq!(line(stream), "");
                if size == 0 {
                    break;
                }
                chunks.push(chunk);
            }
        } else {
            let length: u64 = headers.get("Content-Length").map_or(0, |length| length.parse().unwrap());
            let mut body = Vec::new();
            stream.take(length).read_to_end(&mut body).unwrap();
            chunks.push(body);
        }
        Response { status, headers, chunks }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.chunks.concat()).into_owned()
    }

    /// The records of each chunk, with a run of equal chunks as one.
    pub(crate) fn framing(&self) -> Vec<Vec<Shape>> {
        let mut framing: Vec<_> = self.chunks.iter().map(|chunk| records(chunk)).collect();
        framing.dedup();
        framing
    }
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.trim_end_matches(['\r', '\n']).to_owned()
}

/// The shapes of the records in a chunk, with a run of equal ones as one.
fn records(chunk: &[u8]) -> Vec<Shape> {
    let text = String::from_utf8_lossy(chunk);
    let mut records: Vec<_> = text
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (field, data) = ["data: ", "event: "]
                .iter()
                .find_map(|field| Some((*field, line.strip_prefix(field)?)))
                .unwrap_or(("", line));
            match serde_json::from_str::<Shape>(data) {
                Ok(shape) if field.is_empty() => shape,
                Ok(shape) => Shape::Text(format!("{field}{shape}")),
                // The name of an event, `[DONE]`, and pages of text.
                Err(_) => Shape::Text(line.to_owned()),
            }
        })
        .collect();
    records.dedup();
    records
}

/// A JSON value without the parts that differ between two responses: its fields in order, and their types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text(String),
    /// Elements, with a run of equal ones as one.
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

/// Fields whose text is compared, since clients depend on it.
const TELLING: [&str; 9] = [
    "code",
    "done_reason",
    "finish_reason",
    "object",
    "role",
    "status",
    "stop_reason",
    "type",
    "tool_choice",
];

/// Fields that describe the model. Their presence and their values depend on the model.
const OF_THE_MODEL: [&str; 9] = [
    "capabilities",
    "details",
    "license",
    "model_info",
    "modelfile",
    "parameters",
    "projector_info",
    "template",
    "tensors",
];

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(ShapeVisitor { key: "" })
    }
}

struct ShapeVisitor<'a> {
    /// The field that contains the value.
    key: &'a str,
}

impl<'de> serde::de::DeserializeSeed<'de> for ShapeVisitor<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeVisitor<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Text(value.to_string()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Text("a negative integer".to_owned()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Text("an integer".to_owned()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Text("a float".to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Text("null".to_owned()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        let shape = match self.key {
            "status" if value.contains(" layer sha256:") => "a layer".to_owned(),
            key if TELLING.contains(&key) => format!("{value:?}"),
            key if key == "id" || key.ends_with("_id") => id(value),
            key if key.ends_with("_at") => time(value),
            _ if value.is_empty() => "an empty text".to_owned(),
            _ => "a text".to_owned(),
        };
        Ok(Shape::Text(shape))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(shape) = seq.next_element_seed(ShapeVisitor { key: self.key })? {
            list.push(shape);
        }
        list.dedup();
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let mut shape = map.next_value_seed(ShapeVisitor { key: &key })?;
            if OF_THE_MODEL.contains(&key.as_str()) {
                continue;
            }
            if key == "arguments" && matches!(shape, Shape::Object(_)) {
                shape = Shape::Text("an object".to_owned());
            }
            fields.push((key, shape));
        }
        Ok(Shape::Object(fields))
    }
}

/// The prefixes of ids that are new each time.
const MINTED: [&str; 8] = ["call_", "chatcmpl-", "cmpl-", "fc_", "msg_", "req_", "resp_", "rs_"];

/// `chatcmpl-` and digits, or `call_` and eight letters. The name of a model is an id too.
fn id(value: &str) -> String {
    let (prefix, rest) = value.split_at(value.find(['-', '_']).map_or(0, |end| end + 1));
    if !prefix.is_empty() && !MINTED.contains(&prefix) {
        "an id".to_owned()
    } else if rest.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{prefix}digits")
    } else if rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("{prefix}{} characters", rest.len())
    } else {
        "an id".to_owned()
    }
}

/// Whether a time is in UTC, and its fraction of a second.
fn time(value: &str) -> String {
    let fraction = value.split('.').nth(1).is_some();
    let zone = if value.ends_with('Z') { "UTC" } else { "a zone" };
    format!("a time in {zone}{}", if fraction { " with a fraction" } else { "" })
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Text(text) => f.write_str(text),
            Shape::List(list) => {
                let list: Vec<_> = list.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
            Shape::Object(fields) => {
                let fields: Vec<_> = fields.iter().map(|(key, shape)| format!("{key}: {shape}")).collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
        }
    }
}
