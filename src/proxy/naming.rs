//! Which model a request asks for: read from the pieces of its body, or from its query where the body is a form.

use http::request;

use super::headers;
use crate::protocol::{Multipart, Peek, Route, coding::Decoder, is_model_name, model_of_query, peek::Reader};

/// A reader of a body, as the route, the content type and the content coding want it.
#[derive(Debug)]
pub(super) struct Naming {
    reader: Kind,
    /// Decodes a body that is coded.
    decoder: Option<Decoder>,
    is_undecodable: bool,
}

#[derive(Debug)]
enum Kind {
    Json(Reader),
    Form(Multipart),
    /// The query says it, whatever the form says.
    Query(String),
}

impl Naming {
    /// Of a body that may be coded, and is read as far as it comes to `most` bytes.
    pub(super) fn of(route: Route, head: &request::Parts, most: u64) -> Naming {
        let decoder = Decoder::new(headers::coding(&head.headers), most);
        Naming { reader: Kind::of(route, head), decoder, is_undecodable: false }
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
                Kind::Json(reader) => reader.is_over(),
                Kind::Form(form) => form.is_over(),
                Kind::Query(_) => true,
            }
    }

    /// The model was seen, as far as can be told before the end.
    pub(super) fn knows_model(&self) -> bool {
        match &self.reader {
            Kind::Json(reader) => reader.knows_model(),
            Kind::Form(form) => form.is_over(),
            Kind::Query(_) => true,
        }
    }

    /// What was seen so far.
    pub(super) fn peek(&self) -> Peek {
        let model = match &self.reader {
            Kind::Json(reader) => return reader.peek(),
            Kind::Form(form) => form.model().map(str::to_owned),
            Kind::Query(name) => Some(name.clone()).filter(|name| is_model_name(name)),
        };
        let mut peek = Peek::default();
        peek.model = model;
        peek
    }
}

impl Kind {
    fn of(route: Route, head: &request::Parts) -> Kind {
        let content_type = headers::content_type(&head.headers).filter(|_| route.takes_form());
        let Some(form) = content_type.and_then(Multipart::of) else { return Kind::Json(Reader::default()) };
        head.uri.query().and_then(model_of_query).map_or(Kind::Form(form), Kind::Query)
    }

    fn read(&mut self, piece: &[u8]) {
        match self {
            Kind::Json(reader) => reader.read(piece),
            Kind::Form(form) => form.read(piece),
            Kind::Query(_) => {}
        }
    }
}
