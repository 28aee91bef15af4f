//! Which model a request asks for: read from the pieces of its body, or from its query where the body is a form.

use http::request;

use super::headers;
use crate::protocol::{Decoder, Multipart, Peek, PeekReader, Route, is_model_name, model_of_query};

/// A reader of a body, as the route, the content type and the content coding want it.
#[derive(Debug)]
pub(super) struct Naming {
    reader: NameSource,
    /// Decodes a body that is coded.
    decoder: Option<Decoder>,
    is_undecodable: bool,
}

#[derive(Debug)]
enum NameSource {
    Json(PeekReader),
    Form(Multipart),
    /// The query says it, whatever the form says.
    Query(String),
}

impl Naming {
    /// Of a body that may be coded, and is read as far as it comes to `most` bytes.
    pub(super) fn of(route: Route, head: &request::Parts, most: u64) -> Naming {
        let decoder = Decoder::new(headers::coding(&head.headers), most);
        Naming { reader: NameSource::of(route, head), decoder, is_undecodable: false }
    }

    /// Takes the next bytes of the body.
    pub(super) fn read(&mut self, piece: &[u8]) {
        let Naming { reader, decoder, is_undecodable } = self;
        match decoder {
            None => reader.read(piece),
            Some(_) if *is_undecodable => {}
            Some(decoder) => *is_undecodable = decoder.decode(piece, &mut |text| reader.read(text)).is_err(),
        }
    }

    /// The body is coded.
    pub(super) const fn is_coded(&self) -> bool {
        self.decoder.is_some()
    }

    /// It is in a coding that is not known, is not what that promises, or comes to too much.
    pub(super) const fn is_undecodable(&self) -> bool {
        self.is_undecodable
    }

    /// What follows says nothing more.
    pub(super) fn is_over(&self) -> bool {
        self.is_undecodable
            || match &self.reader {
                NameSource::Json(reader) => reader.is_over(),
                NameSource::Form(form) => form.is_over(),
                NameSource::Query(_) => true,
            }
    }

    /// The model was seen, as far as can be told before the end.
    pub(super) fn knows_model(&self) -> bool {
        match &self.reader {
            NameSource::Json(reader) => reader.knows_model(),
            NameSource::Form(form) => form.is_over(),
            NameSource::Query(_) => true,
        }
    }

    /// What was seen so far.
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
