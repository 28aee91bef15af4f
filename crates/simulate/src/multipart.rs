//! Forms with several parts (`multipart/form-data`), which clients use to upload files.

use memchr::memmem;

/// A field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) value: &'a [u8],
}

/// Returns the fields of a body, if its content type is such a form and the form is complete.
pub(super) fn fields<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Field<'a>>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    let delimiter = format!("--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let delimiter = format!("\r\n{delimiter}");
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        let part = rest.strip_prefix(b"\r\n")?;
        let end = memmem::find(part, delimiter.as_bytes())?;
        let head = memmem::find(part, b"\r\n\r\n").filter(|head| *head <= end)?;
        let disposition = std::str::from_utf8(&part[..head]).ok()?;
        let name = disposition.split([';', '\r', '\n']).find_map(|item| parameter(item, "name"))?;
        fields.push(Field { name, value: part.get(head + 4..end).unwrap_or_default() });
        rest = &part[end + delimiter.len()..];
    }
}

/// Returns the value of `name=value` or `name="value"` among the parameters.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    parameters.split(';').find_map(|item| {
        let (key, value) = item.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{Field, fields};

    #[test]
    fn form_fields_are_found() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsim\r\n\
            --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
            a\r\n\r\nb\r\n--x--\r\n";
        let found = fields("multipart/form-data; boundary=\"x\"", body).unwrap();
        let field = |name: &str, value| Field { name: name.to_owned(), value };
        assert_eq!(found, [field("model", b"sim".as_slice()), field("file", b"a\r\n\r\nb")]);
    }

    #[test]
    fn form_that_is_incomplete_has_no_fields() {
        assert_eq!(fields("application/json", b"{}"), None);
        assert_eq!(fields("multipart/form-data", b"--x--"), None);
        assert_eq!(fields("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form"), None);
        assert_eq!(fields("multipart/form-data; boundary=x", b"--x--").unwrap(), []);
    }
}
