//! Finds the model of a request: in the pieces of its body, or in its query if the body is a form.

use http::request;

use super::headers;
use crate::protocol::{Decoder, Multipart, Peek, PeekReader, Route, is_model_name, model_of_query};

/// Reads a body as its route, content type and content coding require.
#[derive(Debug)]
pub(super) struct Naming {
    reader: NameSource,
    /// The decoder of a compressed body.
    decoder: Option<Decoder>,
    is_undecodable: bool,
}

#[derive(Debug)]
enum NameSource {
    Json(PeekReader),
    Form(Multipart),
    /// The query names the model, whatever the form says.
    Query(String),
}

impl Naming {
    /// A reader for the body of this request. A compressed body is decoded up to `most` bytes.
    pub(super) fn of(route: Route, head: &request::Parts, most: u64) -> Naming {
        let decoder = Decoder::new(headers::coding(&head.headers), most);
        Naming { reader: NameSource::of(route, head), decoder, is_undecodable: false }
    }

    /// Reads the next bytes of the body.
    pub(super) fn read(&mut self, piece: &[u8]) {
        let Naming { reader, decoder, is_undecodable } = self;
        match decoder {
            None => reader.read(piece),
            Some(_) if *is_undecodable => {}
            Some(decoder) => *is_undecodable = decoder.decode(piece, &mut |text| reader.read(text)).is_err(),
        }
    }

    /// Whether the body is compressed.
    pub(super) const fn is_coded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Whether the coding is unknown, the body is invalid, or the decoded body is too long.
    pub(super) const fn is_undecodable(&self) -> bool {
        self.is_undecodable
    }

    /// Whether the rest of the body cannot change the result.
    pub(super) fn is_over(&self) -> bool {
        self.is_undecodable
            || match &self.reader {
                NameSource::Json(reader) => reader.is_over(),
                NameSource::Form(form) => form.is_over(),
                NameSource::Query(_) => true,
            }
    }

    /// Whether the model was found, as far as can be told before the end.
    pub(super) fn knows_model(&self) -> bool {
        match &self.reader {
            NameSource::Json(reader) => reader.knows_model(),
            NameSource::Form(form) => form.is_over(),
            NameSource::Query(_) => true,
        }
    }

    /// The findings so far.
    pub(super) fn peek(&self) -> Peek {
        let model = match &self.reader {
            NameSource::Json(reader) => return reader.peek(),
            NameSource::Form(form) => form.model().map(str::to_owned),
            NameSource::Query(name) => Some(name.clone()).filter(|name| is_model_name(name)),
        };
        let mut peek = Peek::default();
        peek.model = model;
        peek
    }
}

impl NameSource {
    fn of(route: Route, head: &request::Parts) -> NameSource {
        let content_type = headers::content_type(&head.headers).filter(|_| route.takes_form());
        let Some(form) = content_type.and_then(Multipart::of) else {
            return NameSource::Json(PeekReader::default());
        };
        head.uri.query().and_then(model_of_query).map_or(NameSource::Form(form), NameSource::Query)
    }

    fn read(&mut self, piece: &[u8]) {
        match self {
            NameSource::Json(reader) => reader.read(piece),
            NameSource::Form(form) => form.read(piece),
            NameSource::Query(_) => {}
        }
    }
}
