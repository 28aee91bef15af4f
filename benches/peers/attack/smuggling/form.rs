//! Messages that two servers may parse differently. Each single parser finds at most one request.

/// A message and its oddity.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) bytes: String,
}

/// The request that an attacker hides in the body of the first one.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

pub(super) fn all() -> Vec<Form> {
    // The body ends at once by its coding, and after the hidden request by its length.
    let ended = format!("0\r\n\r\n{HIDDEN}");
    let both = ended.len();
    let odd = |name, coding: &str| form(name, &format!("{coding}Content-Length: {both}\r\n"), &ended);
    let chunked = |name, body: &str| form(name, "Transfer-Encoding: chunked\r\n", body);
    let length = HIDDEN.len();
    let chunk = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let head = |name, head: &str| Form { name, bytes: format!("{head}Connection: close\r\n\r\n") };
    vec![
        form(
            "both lengths, the coding is longer",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            &chunk,
        ),
        odd("both lengths, the coding is shorter", "Transfer-Encoding: chunked\r\n"),
        form("two lengths", &format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), HIDDEN),
        form("a list of two lengths", &format!("Content-Length: 0, {length}\r\n"), HIDDEN),
        form("the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        form("a length with a sign", "Content-Length: +2\r\n", "{}"),
        form("a space before the colon of the length", &format!("Content-Length : {length}\r\n"), HIDDEN),
        form("a GET with a body", &format!("Content-Length: {length}\r\n"), HIDDEN).with("POST", "GET"),
        odd("coding xchunked, and a length", "Transfer-Encoding: xchunked\r\n"),
        odd("coding identity, and a length", "Transfer-Encoding: identity\r\n"),
        odd("codings chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
        odd("codings gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        odd("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        odd("chunked, then x", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
        odd("a space before the colon of the coding", "Transfer-Encoding : chunked\r\n"),
        odd("a vertical tab before the coding", "Transfer-Encoding: \u{b}chunked\r\n"),
        odd("a folded coding", "Transfer-Encoding:\r\n chunked\r\n"),
        odd("a bare CR before the coding", "X-A: 1\rTransfer-Encoding: chunked\r\n"),
        odd("a bare LF before the coding", "X-A: 1\nTransfer-Encoding: chunked\r\n"),
        odd("a NUL in a value", "X-A: 1\0\r\n"),
        form("chunked, in HTTP/1.0", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n")
            .with("HTTP/1.1", "HTTP/1.0"),
        chunked("a chunk's size of 0x1", "0x1\r\na\r\n0\r\n\r\n"),
        chunked("a chunk's size beyond 64 bits", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        chunked("a chunk longer than its size", &format!("2\r\n{{}}{HIDDEN}\r\n0\r\n\r\n")),
        chunked("a chunk's size that ends with LF", "2\n{}\r\n0\r\n\r\n"),
        chunked("a chunk's extension that ends with LF", "2;a\n{}\r\n0\r\n\r\n"),
        chunked("a chunk's extension", "2;a=\"b\"\r\n{}\r\n0\r\n\r\n"),
        chunked(
            "a trailer that frames",
            "2\r\n{}\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n\r\n",
        ),
        head("two hosts", "GET /first HTTP/1.1\r\nHost: h\r\nHost: i\r\n"),
        head("no host", "GET /first HTTP/1.1\r\n"),
        head("another host in the target", "GET http://other/first HTTP/1.1\r\nHost: h\r\n"),
        head("a space in the target", "GET /first /second HTTP/1.1\r\nHost: h\r\n"),
        head("lines that end with LF", "GET /first HTTP/1.1\nHost: h\n"),
        head("a folded field", "GET /first HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n folded\r\n"),
    ]
}

/// A POST with these fields and this body, on a connection that closes after it.
fn form(name: &'static str, fields: &str, body: &str) -> Form {
    let bytes = format!("POST /first HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n{body}");
    Form { name, bytes }
}

impl Form {
    /// The same with another request line.
    fn with(mut self, what: &str, other: &str) -> Form {
        self.bytes = self.bytes.replacen(what, other, 1);
        self
    }
}
