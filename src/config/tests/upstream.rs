//! The source of the upstream: flag, STREAMGAUGE_UPSTREAM, file, OLLAMA_HOST, default, in this order.

use super::*;

fn named(sources: &Sources) -> Vec<String> {
    let upstreams = right(sources).config.sidecar.upstream.upstreams;
    upstreams.iter().map(|one| format!("{} {}", one.name, one.url)).collect()
}

fn everywhere() -> Sources {
    let mut sources = file("[[upstream]]\nname = \"file\"\nurl = \"http://file:1\"");
    sources = variable(sources, "STREAMGAUGE_UPSTREAM", "variable:2");
    sources.flags.upstreams = vec!["flag=http://flag:3".to_owned()];
    sources.ollama_host = Some("host:4".to_owned());
    sources
}

#[test]
fn upstream_comes_from_the_first_source_that_names_one() {
    let mut sources = everywhere();
    assert_eq!(named(&sources), ["flag http://flag:3/"]);
    assert!(right(&sources).warnings.is_empty());
    sources.flags.upstreams.clear();
    assert_eq!(named(&sources), ["upstream0 http://variable:2/"]);
    let warnings = right(&sources).warnings;
    assert!(
        warnings[0].starts_with("STREAMGAUGE_UPSTREAM replaces every [[upstream]] of the file"),
        "{warnings:?}"
    );
    sources.environment[0].1.clear();
    assert_eq!(named(&sources), ["file http://file:1/"], "an empty variable is as if it were unset");
    sources.environment.clear();
    assert_eq!(named(&sources), ["file http://file:1/"]);
    sources.file = None;
    assert_eq!(named(&sources), ["upstream0 http://host:4/"]);
    sources.ollama_host = None;
    assert_eq!(named(&sources), ["upstream0 http://127.0.0.1:11434/"]);
}

#[test]
fn upstream_variable_names_several_with_commas() {
    let sources = variable(Sources::default(), "STREAMGAUGE_UPSTREAM", "gpu0=http://a:1, https://b:2 ,c:3,");
    assert_eq!(named(&sources), ["gpu0 http://a:1/", "upstream1 https://b:2/", "upstream2 http://c:3/"]);
    assert_eq!(named(&variable(Sources::default(), "STREAMGAUGE_UPSTREAM", " ")), named(&Sources::default()));
}

#[test]
fn error_in_upstream_variable_is_reported_with_its_place() {
    let sources = variable(Sources::default(), "STREAMGAUGE_UPSTREAM", "cloud=http://a:1,gpu0");
    let mistakes = wrong(&sources);
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("environment STREAMGAUGE_UPSTREAM: `upstream.name`: "), "{mistakes:?}");
    assert!(mistakes[1].starts_with("environment STREAMGAUGE_UPSTREAM: `upstream.url`: the URL has no port"));
}

#[test]
fn ollama_host_that_names_the_sidecar_itself_is_ignored_with_a_warning() {
    for (listen, host) in [
        ("127.0.0.1:11440", "127.0.0.1:11440"),
        ("127.0.0.1:11440", "localhost:11440"),
        ("0.0.0.0:11434", "127.0.0.1"),
        ("0.0.0.0:11434", "0.0.0.0"),
    ] {
        let mut sources = variable(Sources::default(), "STREAMGAUGE_PROXY__LISTEN", listen);
        sources.ollama_host = Some(host.to_owned());
        // If the sidecar listens on Ollama's port, the default upstream is the sidecar itself, which is a mistake.
        match resolve(&sources, Vec::new()) {
            Ok(resolved) => {
                assert!(resolved.warnings[0].starts_with("OLLAMA_HOST is ignored: "), "{host}");
                assert_eq!(named(&sources), ["upstream0 http://127.0.0.1:11434/"]);
            }
            Err(mistakes) => {
                assert!(listen.ends_with(":11434"), "{host}: {mistakes}");
                assert!(
                    mistakes.to_string().contains("is the address of this sidecar's own `proxy.listen`"),
                    "{mistakes}"
                );
            }
        }
    }
    let mut sources = Sources { ollama_host: Some("127.0.0.1:11441".to_owned()), ..Sources::default() };
    assert!(right(&sources).warnings.is_empty());
    sources.flags.upstreams = vec!["http://a:1".to_owned()];
    sources.ollama_host = Some("127.0.0.1:11440".to_owned());
    assert!(right(&sources).warnings.is_empty(), "OLLAMA_HOST is not read where an upstream is named");
}

#[test]
fn ollama_host_that_is_no_valid_upstream_is_an_error_only_if_needed() {
    let mut sources = Sources { ollama_host: Some("http://gpu0/ollama".to_owned()), ..Sources::default() };
    assert_eq!(
        wrong(&sources),
        ["environment OLLAMA_HOST: the URL has a path | \
          correct it, or set the upstream with --upstream or STREAMGAUGE_UPSTREAM"]
    );
    sources.flags.upstreams = vec!["http://a:1".to_owned()];
    right(&sources);
}

#[test]
fn check_shows_that_upstream_came_from_ollama_host() {
    let sources = Sources { ollama_host: Some("gpu0".to_owned()), ..Sources::default() };
    let shown = right(&sources).to_toml();
    assert!(shown.contains("[[upstream]]  # environment OLLAMA_HOST\n"), "{shown}");
}

#[test]
fn unknown_variable_is_compared_without_the_common_prefix() {
    let advice = |name: &str| wrong(&variable(Sources::default(), name, "1"))[0].clone();
    assert!(advice("STREAMGAUGE_UPSTREAMS").ends_with("did you mean `STREAMGAUGE_UPSTREAM`?"));
    assert!(advice("STREAMGAUGE_RUSTC").ends_with("is a setting"));
}
