//! Forms as clients write them, cut at any byte.

use super::{MAX_HEAD, MAX_VALUE, Multipart};

fn reader() -> Multipart {
    Multipart::of("multipart/form-data; boundary=XyZ").unwrap()
}

/// Returns the model of a whole form, after checking that the form gives the same model however it is cut.
fn model(form: &[u8]) -> Option<String> {
    let mut whole = reader();
    whole.read(form);
    for cut in 0..form.len() {
        let mut parts = reader();
        parts.read(&form[..cut]);
        parts.read(&form[cut..]);
        assert_eq!(parts.model(), whole.model(), "cut at {cut}");
        assert_eq!(parts.is_over(), whole.is_over(), "cut at {cut}");
    }
    let mut bytes = reader();
    form.iter().for_each(|byte| bytes.read(&[*byte]));
    assert_eq!(bytes.model(), whole.model(), "byte by byte");
    whole.model().map(str::to_owned)
}

fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// Writes a part with these parameters of its disposition and this content.
fn part(parameters: &str, content: &str) -> String {
    format!("--XyZ\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n")
}

#[test]
fn multipart_model_is_read_before_and_behind_a_file() {
    let file = part("name=\"file\"; filename=\"a.wav\"", "RIFF\r\n--XyYno\r\n\n--Xy\0--XyZno\r\n");
    let named = part("name=\"model\"", "whisper:1b");
    let end = "--XyZ--\r\n";
    assert_eq!(model([&named, &file, end].concat().as_bytes()), some("whisper:1b"));
    assert_eq!(model([&file, &named, end].concat().as_bytes()), some("whisper:1b"));
    assert_eq!(model([&file, end].concat().as_bytes()), None);
    assert_eq!(model(["preamble\r\n", &named, end].concat().as_bytes()), some("whisper:1b"));
    assert_eq!(model(["--XyZno\r\n\r\n", &named, end].concat().as_bytes()), some("whisper:1b"));
}

#[test]
fn multipart_heads_are_read_as_clients_write_them() {
    let end = "--XyZ--";
    for head in [
        "Content-Disposition: form-data; name=\"model\"",
        "content-disposition:form-data;name=model",
        "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"m\\odel\"\r\nContent-Length: 1",
    ] {
        let form = format!("--XyZ\r\n{head}\r\n\r\na\r\n{end}");
        assert_eq!(model(form.as_bytes()), some("a"), "{head}");
    }
    for head in [
        "Content-Disposition: form-data; name=\"models\"",
        "Content-Disposition: form-data; name=\"Model\"",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"; filename=\"a\"",
        "Content-Disposition: form-data; x=\"; name=model\"",
        "Content-Type: text/plain",
        "",
    ] {
        let form = format!("--XyZ\r\n{head}\r\n\r\na\r\n{end}");
        assert_eq!(model(form.as_bytes()), None, "{head}");
    }
    assert_eq!(
        model(b"--XyZ\nContent-Disposition: form-data; name=model\n\na\n--XyZ--"),
        some("a"),
        "lines may end with a line feed alone"
    );
    assert_eq!(
        model(b"--XyZ  \r\nContent-Disposition: form-data; name=model\r\n\r\na\r\n--XyZ--"),
        some("a")
    );
}

#[test]
fn multipart_first_value_counts_and_junk_is_no_model() {
    let named = |value: &str| part("name=\"model\"", value);
    assert_eq!(model([named("a"), named("b")].concat().as_bytes()), some("a"));
    assert_eq!(model([&named(""), &named("b"), "--XyZ--"].concat().as_bytes()), None);
    assert_eq!(model([&named("a\nb"), "--XyZ--"].concat().as_bytes()), None);
    let longest = "m".repeat(256);
    assert_eq!(model([&named(&longest), "--XyZ--"].concat().as_bytes()), some(&longest));
    for long in [257, MAX_VALUE, 4 * MAX_VALUE] {
        assert_eq!(model([&named(&"m".repeat(long)), "--XyZ--"].concat().as_bytes()), None, "{long}");
    }
    // An incomplete name is no name.
    assert_eq!(model(b"--XyZ\r\nContent-Disposition: form-data; name=model\r\n\r\nhalf"), None);
}

#[test]
fn multipart_form_that_is_long_is_held_only_in_part() {
    let mut form = reader();
    form.read(part("name=\"file\"; filename=\"a\"", "").as_bytes());
    for _ in 0..1000 {
        form.read(&[b'\n'; 1 << 10]);
    }
    assert!(form.held.capacity() < 1 << 10, "{}", form.held.capacity());
    form.read(part("name=\"model\"", "a").as_bytes());
    form.read(b"--XyZ--");
    assert_eq!(form.model(), Some("a"));

    let mut form = reader();
    form.read(b"--XyZ\r\n");
    for _ in 0..1000 {
        form.read(&[b'h'; 1 << 10]);
    }
    assert!(form.is_over() && form.held.capacity() <= 4 * MAX_HEAD, "{}", form.held.capacity());
}

#[test]
fn multipart_boundary_is_read_from_content_type() {
    for (content_type, is_form) in [
        ("multipart/form-data; boundary=a", true),
        ("Multipart/Form-Data;charset=utf-8;Boundary=\"a b\"", true),
        ("multipart/form-data", false),
        ("multipart/form-data; boundary=", false),
        ("multipart/mixed; boundary=a", false),
        ("application/json", false),
    ] {
        assert_eq!(Multipart::of(content_type).is_some(), is_form, "{content_type}");
    }
    let mut form = Multipart::of("multipart/form-data; boundary=\"a b\"; x=y").unwrap();
    form.read(b"--a b\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--a b--");
    assert_eq!(form.model(), Some("m"));
}
