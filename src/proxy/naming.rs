//! Which model a request asks for: read from the pieces of its body, or from its query where the body is a form.

use http::request;

use super::headers;
use crate::protocol::{Multipart, Peek, Route, is_model_name, model_of_query, peek::Reader};

/// A reader of a body, as the route and the content type want it.
#[derive(Debug)]
pub(super) enum Naming {
    Json(Reader),
    Form(Multipart),
    /// The query says it, whatever the form says.
    Query(String),
}

impl Naming {
    pub(super) fn of(route: Route, head: &request::Parts) -> Naming {
        let content_type = headers::content_type(&head.headers).filter(|_| route.takes_form());
        let Some(form) = content_type.and_then(Multipart::of) else { return Naming::Json(Reader::default()) };
        head.uri.query().and_then(model_of_query).map_or(Naming::Form(form), Naming::Query)
    }

    /// Takes the next bytes of the body.
    pub(super) fn read(&mut self, piece: &[u8]) {
        match self {
            Naming::Json(reader) => reader.read(piece),
            Naming::Form(form) => form.read(piece),
            Naming::Query(_) => {}
        }
    }

    /// What follows says nothing more.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Naming::Json(reader) => reader.is_over(),
            Naming::Form(form) => form.is_over(),
            Naming::Query(_) => true,
        }
    }

    /// The model was seen, as far as can be told before the end.
    pub(super) fn knows_model(&self) -> bool {
        match self {
            Naming::Json(reader) => reader.knows_model(),
            Naming::Form(form) => form.is_over(),
            Naming::Query(_) => true,
        }
    }

    /// What was seen so far.
    pub(super) fn peek(&self) -> Peek {
        let model = match self {
            Naming::Json(reader) => return reader.peek(),
            Naming::Form(form) => form.model().map(str::to_owned),
            Naming::Query(name) => Some(name.clone()).filter(|name| is_model_name(name)),
        };
        Peek { model, ..Peek::default() }
    }
}
