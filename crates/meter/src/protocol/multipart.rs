//! Reads the model from a form (`multipart/form-data`), piece by piece as it arrives.

#[cfg(test)]
mod tests;

use memchr::{memchr, memmem};

use super::is_model_name;

/// The maximum length of a boundary (RFC 2046 allows 70 bytes), and of a line behind one.
const MAX_BOUNDARY: usize = 128;
/// The maximum length of a part's head.
const MAX_HEAD: usize = 8 << 10;
/// The maximum length of a value that may be the name of a model.
const MAX_VALUE: usize = 512;

/// Reads the field `model` of a form, and skips all other fields, which are mostly files. It holds at most some 8
/// KiB, however long the form is.
///
/// ```
/// use streamgauge_meter::protocol::Multipart;
///
/// let mut form = Multipart::of("multipart/form-data; boundary=X").expect("it has a boundary");
/// form.read(b"--X\r\nContent-Disposition: form-data; name=\"mod");
/// form.read(b"el\"\r\n\r\nwhisper\r\n--X--\r\n");
/// assert_eq!(form.model(), Some("whisper"));
/// ```
#[derive(Debug)]
pub struct Multipart {
    /// A line end, and the delimiter behind it.
    delimiter: memmem::Finder<'static>,
    state: FormState,
    /// The last bytes that may begin a delimiter, or the bytes so far of a head or a value.
    held: Vec<u8>,
    model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormState {
    /// Before the first delimiter, or in a part that is skipped.
    Content,
    /// After a delimiter, on its line.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In the value of `model`.
    Value,
    /// After the last delimiter, after the model, or in a body that is not a form.
    Over,
}

impl Multipart {
    /// Creates a reader for a body of this `Content-Type`. `None`: it is not a form, or has no valid boundary.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Multipart> {
        let (essence, parameters) = content_type.split_once(';')?;
        if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let delimiter = memmem::Finder::new(format!("\n--{boundary}").as_bytes()).into_owned();
        // The body may begin with the first delimiter.
        Some(Multipart { delimiter, state: FormState::Content, held: b"\n".to_vec(), model: None })
    }

    /// Reads the next bytes.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state != FormState::Over {
            bytes = match self.state {
                FormState::Content => self.content(bytes),
                FormState::Delimiter => self.line(bytes),
                FormState::Head => self.head(bytes),
                FormState::Value => self.value(bytes),
                FormState::Over => return,
            };
        }
    }

    /// Returns the model, once its part has ended. A value that cannot be the name of a model counts as none.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether further bytes cannot change the model.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == FormState::Over
    }

    fn turn(&mut self, state: FormState) {
        self.held.clear();
        self.state = state;
    }

    /// Skips everything up to the end of the next delimiter.
    fn content<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = self.delimiter.needle().len();
        // A delimiter may have begun before. The held bytes are shorter than a delimiter.
        let before = self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(length - 1)]);
        if let Some(at) = self.delimiter.find(&self.held) {
            self.turn(FormState::Delimiter);
            return &bytes[at + length - before..];
        }
        if let Some(at) = self.delimiter.find(bytes) {
            self.turn(FormState::Delimiter);
            return &bytes[at + length..];
        }
        if bytes.len() >= length {
            self.held.clear();
            self.held.extend_from_slice(&bytes[bytes.len() - (length - 1)..]);
        } else {
            self.held.drain(..self.held.len().saturating_sub(length - 1));
        }
        &[]
    }

    /// Reads on after a delimiter. `--` ends the form. Anything but white space shows that it was not a delimiter.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (line, rest) = until_newline(bytes);
        self.held.extend_from_slice(&line[..line.len().min(MAX_BOUNDARY)]);
        let is_whole = line.ends_with(b"\n");
        if self.held.starts_with(b"--") {
            self.turn(FormState::Over);
        } else if is_whole && self.held.trim_ascii().is_empty() {
            self.turn(FormState::Head);
        } else if is_whole || self.held.len() >= MAX_BOUNDARY {
            self.turn(FormState::Content);
            if is_whole {
                self.held.push(b'\n');
            }
        }
        rest
    }

    /// Reads a line of a part's head. An empty line ends the head.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (line, rest) = until_newline(bytes);
        self.held.extend_from_slice(&line[..line.len().min(MAX_HEAD + 1)]);
        if self.held.len() > MAX_HEAD {
            self.turn(FormState::Over);
        } else if ends_head(&self.held) {
            let is_model = names_model(&self.held);
            self.turn(if is_model { FormState::Value } else { FormState::Content });
            // The value may be empty: then the delimiter follows directly after the line end of the head.
            self.held.push(b'\n');
        }
        rest
    }

    /// Reads the value up to the delimiter.
    fn value<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.held.extend_from_slice(&bytes[..bytes.len().min(MAX_VALUE)]);
        if let Some(end) = self.delimiter.find(&self.held) {
            // The value without the line end that was put before it, and without the carriage return of the
            // delimiter.
            let value = self.held.get(1..end).unwrap_or_default();
            let value = value.strip_suffix(b"\r").unwrap_or(value);
            let name = std::str::from_utf8(value).ok().filter(|name| is_model_name(name));
            self.model = name.map(str::to_owned);
            // Ollama uses the first of several.
            self.turn(FormState::Over);
        } else if self.held.len() > MAX_VALUE {
            self.turn(FormState::Over);
        }
        &bytes[bytes.len().min(MAX_VALUE)..]
    }
}

/// Returns the bytes up to and including the end of the line, and the rest.
fn until_newline(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1))
}

/// Whether the head ends with an empty line.
fn ends_head(head: &[u8]) -> bool {
    let Some(before) = head.strip_suffix(b"\n") else { return false };
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    before.is_empty() || before.ends_with(b"\n")
}

/// Whether the head is that of the field `model`, and not of a file.
fn names_model(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| {
        let Some((disposition, parameters)) = value.split_once(';') else { return false };
        name.trim().eq_ignore_ascii_case("content-disposition")
            && disposition.trim().eq_ignore_ascii_case("form-data")
            && parameter(parameters, "name").as_deref() == Some("model")
            && parameter(parameters, "filename").is_none_or(|file| file.is_empty())
            && parameter(parameters, "filename*").is_none()
    })
}

/// Returns the value of a parameter, without its quotes and escapes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, behind) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        if name.trim_matches([';', ' ', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = behind;
    }
}

/// Returns the inside of a quoted string, and the text after its closing quote.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}
