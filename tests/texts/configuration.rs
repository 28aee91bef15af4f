//! The message of every mistake that the configuration can have.

use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use super::{authority::Authority, snapshot, streamgauge};

/// A broken configuration: its topic, the flags, the variables, and the file.
type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

const CASES: &[Case] = &[
    ("a header without an end", &[], &[], "[proxy\nlisten = \"127.0.0.1:1\"\n"),
    ("values that are not TOML", &[], &[], "[proxy]\nlisten = \nworkers = many\n[log\n"),
    ("a file in YAML", &[], &[], "proxy:\n  listen: 127.0.0.1:11440\n"),
    ("a file in JSON", &[], &[], "{ \"proxy\": {} }\n"),
    (
        "unknown sections and keys",
        &[],
        &[],
        "[proxy]\nlisen = \"127.0.0.1:1\"\nlevel = \"info\"\nzzz = 1\n[metrcs]\n[zzz]\n[[upstream]]\nurl = \"http://a:1\"\n\
         uri = \"http://a:1\"\nzzz = 1\n[[key]]\nname = \"a\"\nkey_env = \"KEY\"\nrequest = 1\n",
    ),
    (
        "values of another type",
        &[],
        &[],
        "proxy.workers = 1.5\nproxy.listen = 3\nproxy.drain_timeout = true\nlog.level = 3\nqueue.size = \"7\"\n\
         access.require_key = \"true\"\nshaping.merge = 1\naccess.routes = 3\nshaping.adaptive = 3\n\
         shaping.coalesce = { delay = 3.5 }\nmetrics = 3\nkey = 3\n",
    ),
    ("a table in place of a list", &[], &[], "[upstream]\nurl = \"http://a:1\"\n"),
    ("lists of other things than tables", &[], &[], "upstream = [\"http://a:1\"]\nkey = [1]\n"),
    ("an empty list", &[], &[], "upstream = []\n"),
    (
        "numbers out of range",
        &[],
        &[],
        "proxy.workers = 99999\nqueue.size = -1\nproxy.max_head = \"1B\"\nproxy.header_timeout = \"0s\"\n\
         shaping.adaptive = { target = 2, floor = \"a\" }\nshaping.pace_buffer = \"-3KiB\"\n",
    ),
    (
        "quantities without a unit, or with another one",
        &[],
        &[],
        "proxy.drain_timeout = 30\nqueue.timeout = \"3 fortnights\"\nproxy.max_head = 65536\nproxy.peek_limit = \"64KB\"\n\
         proxy.read_ahead_budget = 64\nshaping.pace_buffer = \"much\"\ncollectors.lag = 20\n",
    ),
    (
        "rates",
        &[],
        &[],
        "[[key]]\nname = \"a\"\nkey_env = \"KEY\"\nrequests = \"60\"\ntokens = \"60/minute\"\n\
         [[key]]\nname = \"b\"\nkey_env = \"KEY\"\nrequests = \"60/week\"\ntokens = \"0/min\"\n",
    ),
    (
        "priorities",
        &[],
        &[],
        "[[key]]\nname = \"a\"\nkey_env = \"KEY\"\npriority = \"urgent\"\nweight = 0\n\
         [[key]]\nname = \"b\"\nkey_env = \"KEY\"\npriority = \"hihg\"\n",
    ),
    (
        "limits of streams",
        &[],
        &[],
        "[[upstream]]\nurl = \"gpu0:1\"\nmax_streams = 0\n[[upstream]]\nurl = \"gpu1:1\"\nmax_streams = \"many\"\n\
         [[upstream]]\nurl = \"gpu2:1\"\nmax_streams = 4\nmin_tokens_per_second = 10\n\
         [[upstream]]\nurl = \"gpu3:1\"\nmax_streams = \"auto\"\nmin_tokens_per_second = 0\n",
    ),
    (
        "addresses",
        &["--listen", "localhost:1234"],
        &[("STREAMGAUGE_ADMIN__LISTEN", ":9464")],
        "proxy.listen = \"10.0.0.1\"\nadmin.listen = \"gpu0:1234\"\n",
    ),
    ("an address without a port", &[], &[], "proxy.listen = \"gpu0\"\n"),
    (
        "words that are not an option",
        &[],
        &[],
        "log.level = \"loud\"\nlog.format = \"JSON\"\nupstreams.primary = \"\"\nshaping.adaptive = { input = \"x\" }\n",
    ),
    (
        "URLs of upstreams",
        &["--upstream", "c=http://a:1/v1?x#y", "--upstream", "http://me:secret@a:1"],
        &[],
        "[[upstream]]\nurl = \"\"\n[[upstream]]\nurl = \"gpu0\"\n[[upstream]]\nurl = \"me@a:1\"\n[[upstream]]\n\
         url = \"unix://a\"\n[[upstream]]\nurl = \"http:///x\"\n[[upstream]]\nurl = \"http://\"\n[[upstream]]\n\
         url = \"a:0\"\n[[upstream]]\nname = \"a\"\n",
    ),
    (
        "the store of shared limits",
        &[],
        &[
            ("STREAMGAUGE_SHARED__URL", "a:1,redis://me:secret@a,redis://a/1,unix://a,http://a,redis://a:0"),
            ("STREAMGAUGE_SHARED__PASSWORD_ENV", "NONE"),
        ],
        "[shared]\nurl = 3\nprefix = \"{a}\"\npassword_file = \"empty\"\n\
         [[key]]\nname = \"a\"\nkey_env = \"KEY\"\non_failure = \"zzz\"\n",
    ),
    ("an empty list of stores", &[], &[], "shared.url = []\n"),
    ("a user without a store", &[], &[], "shared.username = \"me\"\n"),
    (
        "settings of a store that contradict",
        &[],
        &[],
        "[shared]\nurl = \"redis://a\"\nca_file = \"a.pem\"\npassword_file = \"a.key\"\npassword_env = \"KEY\"\n",
    ),
    ("a user without a password", &[], &[], "[shared]\nurl = \"redis://a\"\nusername = \"me\"\n"),
    (
        "traces",
        &[],
        &[("STREAMGAUGE_TRACES__ENDPOINT", "http://a?b"), ("STREAMGAUGE_TRACES__ATTRIBUTES", "a")],
        "[traces]\nendpoint = \"http://me:secret@a\"\nattributes = { a.b = \"c\", d = 1 }\nsample_ratio = 2\n\
         headers_file = \"empty\"\nheaders_env = \"KEY\"\n",
    ),
    ("traces with gRPC", &[], &[], "traces.endpoint = \"grpc://a\"\n"),
    ("authorities without an endpoint", &[], &[], "traces.ca_file = \"a.pem\"\n"),
    (
        "settings of traces that contradict",
        &[],
        &[],
        "[traces]\nendpoint = \"http://a\"\nca_file = \"a.pem\"\nheaders_file = \"headers\"\nheaders_env = \"HEADERS\"\n",
    ),
    (
        "names of upstreams",
        &["--upstream", "me:secret@host=http://a:1", "--upstream", "cloud=http://a:1"],
        &[],
        "[[upstream]]\nname = \"a b\"\nurl = \"http://a:1\"\n",
    ),
    (
        "variables",
        &[],
        &[
            ("STREAMGAUGE_PROXY__LISTN", "127.0.0.1:1"),
            ("STREAMGAUGE_UPSTREAM", "gpu0"),
            ("STREAMGAUGE_UPSTREAM__URL", "http://a:1"),
            ("STREAMGAUGE_KEY__NAME", "a"),
            ("STREAMGAUGE_QQQ", "1"),
            ("STREAMGAUGE_PROXY__WORKERS", "many"),
            ("STREAMGAUGE_SHAPING__MERGE", "x"),
            ("STREAMGAUGE_SHAPING__COALESCE", "abc"),
            ("STREAMGAUGE_LOG__FORMAT", "not UTF-8"),
        ],
        "",
    ),
    ("OLLAMA_HOST", &[], &[("OLLAMA_HOST", "http://gpu0/ollama")], ""),
    (
        "keys",
        &[],
        &[],
        "[[key]]\n[[key]]\nname = \"a b\"\nsha256 = \"1\"\n[[key]]\nname = \"anonymous\"\nkey_env = \"UNSET\"\n\
         [[key]]\nname = \"c\"\nkey_file = \"none\"\n[[key]]\nname = \"d\"\nkey_file = \"empty\"\n[[key]]\nname = \"e\"\n\
         key_env = \"KEY\"\nkey_file = \"empty\"\ntokens_burst = 5\n",
    ),
    (
        "keys that contradict each other",
        &[],
        &[],
        "[[key]]\nname = \"a\"\nsha256 = \"SHA256\"\n[[key]]\nname = \"a\"\nsha256 = \"SHA256\"\n",
    ),
    ("a file of keys with settings", &[], &[], "access.keys_file = \"settings.keys\"\n"),
    ("a file of keys that is empty", &[], &[], "access.keys_file = \"empty\"\n"),
    ("a file of keys in YAML", &[], &[], "access.keys_file = \"yaml.keys\"\n"),
    ("a file of keys that does not exist", &[], &[("STREAMGAUGE_ACCESS__KEYS_FILE", "none.keys")], ""),
    ("keys of a store without a store", &[], &[], "access.keys_store = true\n"),
    ("a required key and no key", &[], &[], "access.require_key = true\n"),
    (
        "routes and origins",
        &[],
        &[],
        "access.routes = [\"chats\", \"zzz\"]\naccess.origins = [\"a\", \"https://*.*\"]\n",
    ),
    (
        "models of keys, and half a header of callers",
        &[],
        &[],
        "access.caller_header = { name = \"X-User\" }\n[[key]]\nname = \"a\"\nkey_env = \"KEY\"\nmodels = [\"a b\"]\n\
         [[key]]\nname = \"b\"\nkey_env = \"KEY\"\nmodels = 3\n",
    ),
    (
        "a header of callers with a broken name",
        &[],
        &[("STREAMGAUGE_ACCESS__CALLER_HEADER", "{ name = \"Authorization\", keys = [\"a\"] }")],
        "access.caller_header = { name = \"a b\", keys = [\"a\"] }\n",
    ),
    (
        "a header of callers for an unknown key",
        &[],
        &[],
        "access.caller_header = { name = \"X-User\", keys = [\"zzz\"] }\n[[key]]\nname = \"a\"\nkey_env = \"KEY\"\n",
    ),
    (
        "tables of limits and of shaping",
        &[],
        &[],
        "access.anonymous = { request = \"1/s\", zzz = 1, requests_burst = 3 }\n\
         shaping.adaptive = { floor = 50, ceiling = 20 }\n",
    ),
    (
        "two listeners on one port",
        &[],
        &[],
        "proxy.listen = \"0.0.0.0:11500\"\nadmin.listen = \"127.0.0.1:11500\"\n",
    ),
    (
        "upstreams that contradict other settings",
        &[],
        &[],
        "upstreams.primary = \"gpu9\"\n[[upstream]]\nname = \"gpu0\"\nurl = \"http://localhost:11440\"\n\
         [[upstream]]\nname = \"gpu0\"\nurl = \"http://127.0.0.1:9464\"\n",
    ),
    ("a primary that is nothing like an upstream", &[], &[], "upstreams.primary = \"zzz\"\n"),
    (
        "certificates of a listener",
        &[],
        &[],
        "proxy.tls = { cert = \"none\", key = \"empty\" }\nadmin.tls = { cert = \"a.pem\", key = \"b.key\" }\n",
    ),
    (
        "a certificate without its key",
        &[],
        &[],
        "proxy.tls = { cert = \"a.pem\" }\nadmin.tls = { certs = 1 }\n",
    ),
    (
        "keys that cannot be read",
        &[],
        &[],
        "proxy.tls = { cert = \"a.pem\", key = \"locked.key\" }\nadmin.tls = { cert = \"cut.pem\", key = \"a.key\" }\n",
    ),
    (
        "TLS of upstreams",
        &[],
        &[],
        "[[upstream]]\nurl = \"https://a\"\nca_file = \"empty\"\n[[upstream]]\nname = \"b\"\nurl = \"http://b:1\"\n\
         ca_file = \"a.pem\"\n[[upstream]]\nname = \"c\"\nurl = \"https://c\"\nclient_key = \"a.key\"\n[[upstream]]\n\
         name = \"d\"\nurl = \"https://a*b\"\nca_file = \"a.pem\"\n",
    ),
    ("a token that is missing", &[], &[], "admin.token_file = \"none\"\n"),
    ("a token that is empty", &[], &[], "admin.token_file = \"empty\"\n"),
];

/// Texts of src/config that no message contains, or that this test cannot cause.
const NEVER_SHOWN: &[&str] = &[
    // Mistakes in the store, which `check` does not ask. tests/cli/stored_keys.rs causes them.
    "a key of the store has only `sha256`",
    "replace it by `sha256`, so that",
    // The documentation and the values of settings.
    "letters, digits, `.` `_` `-`, at most 63",
    "http://HOST:PORT, https://HOST:PORT, HOST:PORT",
    "array of ",
    "size, ",
    "off, or duration, ",
    "duration, ",
    "true, false",
    "-v, -q",
    "`text` for people, or `json`",
    "high, normal, low",
    "`caller`: callers that wait",
    "`inject`: ask for `include_usage`",
    // `check` prints these as comments of a valid configuration.
    " replaces every [[upstream]] of the file",
    // Every caller replaces it.
    "the value is out of range",
    // The only numbers with a fraction are in tables, whose values have a type.
    " is not a number",
    "write a number from ",
    // It needs a system without certificate authorities.
    "install ca-certificates, or name a `ca_file`",
];

fn write_files(folder: &Path) {
    let [a, b] = ["a", "b"].map(|name| Authority::new(name).issue("localhost"));
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("a.pem", &a.cert);
    write("a.key", &a.key);
    write("b.key", &b.key);
    write("cut.pem", &a.cert[..200]);
    write("locked.key", &a.key.replace("PRIVATE", "ENCRYPTED PRIVATE"));
    write("empty", "");
    write("headers", "a: b");
    write("settings.keys", "alice = 1\n[access]\nrequire_key = true\n");
    write("yaml.keys", "keys:\n  - alice\n");
}

/// The output of `check` for a case.
fn message(folder: &Path, (topic, flags, variables, file): &Case) -> String {
    let file = file.replace("SHA256", SHA256);
    fs::write(folder.join("s.toml"), &file).unwrap();
    let mut command = streamgauge();
    command
        .args(["check", "--offline", "--config", "s.toml"])
        .args(*flags)
        .current_dir(folder)
        .env("KEY", "k")
        .env("HEADERS", "a: b");
    for (name, value) in *variables {
        match *value {
            "not UTF-8" => command.env(name, std::ffi::OsStr::from_bytes(b"\xff")),
            value => command.env(name, value),
        };
    }
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{topic}: {message}");
    let mut text = format!("==== {topic}\n\n");
    for flag in flags.chunks(2) {
        text += &format!("{}\n", flag.join(" "));
    }
    for (name, value) in *variables {
        text += &format!("{name}={value}\n");
    }
    for (number, line) in (1..).zip(file.lines()) {
        text += &format!("{number:>2} | {line}\n");
    }
    text + &format!("\n{message}\n")
}

fn messages() -> String {
    let folder = tempfile::TempDir::new().unwrap();
    write_files(folder.path());
    let mut text: String = CASES.iter().map(|case| message(folder.path(), case)).collect();
    for name in ["none.toml", "."] {
        let output =
            streamgauge().args(["check", "--config", name]).current_dir(folder.path()).output().unwrap();
        text += &format!("==== --config {name}\n\n{}\n", String::from_utf8(output.stderr).unwrap());
    }
    text
}

/// The texts of a source file that begin as a message does: not with a capital or a digit.
fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = source.lines().filter(|line| {
        let line = line.trim_start();
        !["//", "kind:", "doc:", "#!["].iter().any(|start| line.starts_with(start))
            && !line.contains(".expect(\"")
    });
    let code = code.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let (mut texts, mut rest) = (Vec::new(), code.as_str());
    while let Some((_, after)) = rest.split_once('"') {
        let (mut text, mut characters) = (String::new(), after.char_indices());
        loop {
            match characters.next() {
                Some((_, '\\')) => match characters.next() {
                    Some((_, 'n')) => text.push(' '),
                    Some((_, escaped)) => text.push(escaped),
                    None => {}
                },
                Some((end, '"')) => {
                    rest = &after[end + 1..];
                    break;
                }
                Some((_, character)) => text.push(character),
                None => {
                    rest = "";
                    break;
                }
            }
        }
        texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let is_message = |text: &String| {
        text.contains(' ') && !text.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit())
    };
    texts.into_iter().filter(is_message).collect()
}

/// The parts of a text between its placeholders.
fn parts(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let parts = text.split('{').enumerate();
    let parts =
        parts.map(|(n, part)| if n == 0 { part } else { part.split_once('}').map_or("", |(_, rest)| rest) });
    let parts = parts.map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}"));
    parts.filter(|part| part.trim().len() > 5).collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !["tests.rs", "template.rs", "shown.rs"].contains(&name) {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn message_of_every_configuration_mistake_is_in_the_snapshot() {
    let messages = messages();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config"), &mut files);
    let wanted = files.iter().flat_map(|source| texts(source)).flat_map(|text| parts(&text));
    let shown = messages.replace("\n       ", " ");
    let missing: Vec<_> = wanted
        .filter(|part| !shown.contains(part.as_str()))
        .filter(|part| !NEVER_SHOWN.iter().any(|never| part.starts_with(never)))
        .collect();
    assert!(missing.is_empty(), "add a case for each of these texts of src/config:\n{missing:#?}");
    snapshot::compare("config-errors.txt", &messages);
}
