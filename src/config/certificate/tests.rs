//! Files of certificates and keys: reading, showing, and the reported mistakes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::config::{
    mistake::Mistakes,
    resolve::{Resolved, resolve},
    source::Sources,
};

/// A folder with two pairs, `a` and `b`, and with invalid files.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        write(&format!("{name}.pem"), &cert);
        write(&format!("{name}.key"), &key);
        write("both.pem", &format!("{key}{cert}"));
        write("cut.key", &key[..key.len() / 2]);
        write("cut.pem", &cert[..cert.len() / 2]);
        write("foreign.pem", &cert.replace("MII", "AAA"));
        write("locked.key", &key.replace("PRIVATE", "ENCRYPTED PRIVATE"));
    }
    write("empty", "");
    folder
}

fn read(text: &str) -> Result<Resolved, Mistakes> {
    let file = Some((PathBuf::from("s.toml"), text.to_owned()));
    resolve(&Sources { file, ..Sources::default() }, Vec::new())
}

/// Each mistake on one line, without the folder's name.
fn wrong(folder: &Path, text: &str) -> Vec<String> {
    let Mistakes(mistakes) = read(&text.replace("DIR", folder.to_str().unwrap())).expect_err("a mistake");
    let folder = format!("{}/", folder.display());
    let line = |text: String| text.replace("\n       ", " | ").replace(&folder, "");
    mistakes.iter().map(|mistake| line(mistake.to_string())).collect()
}

#[test]
fn certificate_pair_is_read_from_file_and_environment_and_shown_without_key() {
    let folder = folder();
    let dir = folder.path().to_str().unwrap();
    let text = format!(
        "proxy.tls = {{ cert = \"{dir}/a.pem\", key = \"{dir}/a.key\" }}\n\
         [[upstream]]\nurl = \"https://localhost\"\nca_file = \"{dir}/b.pem\"\n\
         client_cert = \"{dir}/both.pem\"\nclient_key = \"{dir}/both.pem\"\n"
    );
    let mut sources = Sources { file: Some((PathBuf::from("s.toml"), text)), ..Sources::default() };
    let table = format!("{{ key = \"{dir}/b.key\", cert = \"{dir}/b.pem\" }}");
    sources.environment.push(("STREAMGAUGE_ADMIN__TLS".to_owned(), table));
    let resolved = resolve(&sources, Vec::new()).unwrap();
    let settings = &resolved.config.sidecar;
    assert!(settings.proxy.tls.is_some() && settings.admin.tls.is_some());
    assert!(settings.upstream.upstreams[0].tls.as_ref().unwrap().identity().is_some());

    let shown = resolved.to_toml();
    for line in [
        format!("tls = {{ cert = \"{dir}/a.pem\", key = \"{dir}/a.key\" }}  # s.toml:1"),
        format!("ca_file = \"{dir}/b.pem\""),
        format!("client_key = \"{dir}/both.pem\""),
    ] {
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
    assert_eq!(read(&shown).unwrap().to_toml().matches("tls = {").count(), 2);
    let printed = format!("{shown}{resolved:?}");
    for file in ["a.key", "b.key"] {
        let key = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(key.lines().filter(|line| !line.starts_with("-----")).all(|line| !printed.contains(line)));
    }
}

#[test]
fn certificate_file_errors_are_all_reported_with_what_to_do() {
    let folder = folder();
    let mistakes = wrong(
        folder.path(),
        r#"proxy.tls = { cert = "DIR/none.pem", key = "DIR/empty" }
admin.tls = { cert = "DIR/a.pem", key = "DIR/b.key" }
[[upstream]]
url = "https://a"
ca_file = "DIR/a.key"
client_cert = "DIR/cut.pem"
client_key = "DIR/none.key"
[[upstream]]
name = "b"
url = "http://b"
ca_file = "DIR/a.pem"
[[upstream]]
name = "c"
url = "https://c"
client_key = "DIR/a.key"
[[upstream]]
name = "d"
url = "https://a*b"
ca_file = "DIR/a.pem"
"#,
    );
    assert_eq!(
        mistakes,
        [
            "s.toml:1: `proxy.tls`: cannot read \"none.pem\": No such file or directory (os error 2) | \
             name a file that this user may read",
            "s.toml:1: `proxy.tls`: \"empty\" holds no private key in PEM | \
             name a PEM file, in which a key begins with -----BEGIN PRIVATE KEY-----, or RSA or EC before PRIVATE",
            "s.toml:2: `admin.tls`: \"b.key\" is not the key of the first certificate in \"a.pem\" | \
             put the server's own certificate first, and name the key of this certificate",
            "s.toml:5: `upstream.ca_file`: \"a.key\" holds no certificate in PEM | \
             name a PEM file, in which a certificate begins with -----BEGIN CERTIFICATE-----",
            "s.toml:6: `upstream.client_cert`: \"cut.pem\" is malformed | \
             replace the file: it is incomplete or not PEM",
            "s.toml:7: `upstream.client_key`: cannot read \"none.key\": No such file or directory (os error 2) | \
             name a file that this user may read",
            "s.toml:11: `upstream.ca_file`: this key needs an https url | write https:// in the url, or remove this key",
            "s.toml:15: `upstream.client_key`: `client_cert` is missing | add `client_cert`, or remove this key",
            "s.toml:16: `upstream.url`: \"a*b\" is not a host name for which a certificate can be issued | \
             write a DNS name or an IP address",
        ]
    );
}

#[test]
fn certificate_pair_broken_in_any_way_is_an_error() {
    let folder = folder();
    for (table, said) in [
        ("{ cert = \"DIR/a.pem\" }", "`cert` or `key` is missing"),
        ("{ cert = \"DIR/a.pem\", keys = \"x\" }", "unknown key `keys`"),
        ("{ cert = 3, key = \"x\" }", "`cert`: expected a string"),
        ("\"DIR/a.pem\"", "expected a table"),
        ("{ cert = \"DIR/a.pem\", key = \"DIR/cut.key\" }", "\"cut.key\" is malformed"),
        (
            "{ cert = \"DIR/a.pem\", key = \"DIR/locked.key\" }",
            "\"locked.key\" holds an encrypted private key",
        ),
        ("{ cert = \"DIR/foreign.pem\", key = \"DIR/a.key\" }", "\"foreign.pem\" is malformed"),
        ("{ cert = \"DIR/a.key\", key = \"DIR/a.key\" }", "\"a.key\" holds no certificate"),
        ("{ cert = \"DIR\", key = \"DIR/a.key\" }", "cannot read"),
    ] {
        let mistakes = wrong(folder.path(), &format!("proxy.tls = {table}"));
        assert!(mistakes.len() == 1 && mistakes[0].contains(said), "{table}: {mistakes:?}");
    }
}
