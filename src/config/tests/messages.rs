//! The text of the reported mistakes.

use super::{Sources, file, variable, wrong};

#[test]
fn error_for_number_or_word_says_what_is_allowed() {
    let mut sources = file(
        r#"[proxy]
workers = 99999999999999999999999999999999999999999999
max_head = 64
[queue]
size = 1.5
timeout = -3
[shaping]
coalesce = { delay = 50 }
adaptive = { target = -1 }
pace_buffer = "-1KiB"
[collectors]
lag = 20
[log]
level = "warning"
format = "JSON"
"#,
    );
    sources = variable(sources, "STREAMGAUGE_LOG__LEVEL", "INFO");
    sources = variable(sources, "STREAMGAUGE_UPSTREAMS__CHOOSE", "loudest");
    sources.flags.settings = vec![("proxy.listen", "localhost:1234".to_owned())];
    assert_eq!(
        wrong(&sources),
        [
            "s.toml:2: `proxy.workers`: 99999999999999999999999999999999999999999999 is out of range | \
             write a whole number from 0 to 1024",
            "s.toml:3: `proxy.max_head`: 64 has no unit | write \"64KiB\"",
            "s.toml:5: `queue.size`: expected a whole number, not a float | write a whole number, as in 0",
            "s.toml:6: `queue.timeout`: -3 is out of range | write a value from 1ms to 24h",
            "s.toml:8: `shaping.coalesce`: `delay`: 50 has no unit | write \"50ms\" for milliseconds",
            "s.toml:9: `shaping.adaptive`: `target`: -1 is out of range | write a value from 0.01 to 1",
            "s.toml:10: `shaping.pace_buffer`: -1KiB is out of range | write a value from 4KiB to 64MiB",
            "s.toml:12: `collectors.lag`: 20 has no unit | write \"20ms\" for milliseconds",
            "s.toml:14: `log.level`: \"warning\" is not one of error, warn, info, debug, trace | did you mean `warn`?",
            "s.toml:15: `log.format`: \"JSON\" is not one of text, json | did you mean `json`?",
            "environment STREAMGAUGE_LOG__LEVEL: `log.level`: \"INFO\" is not one of error, warn, info, debug, trace | \
             did you mean `info`?",
            "environment STREAMGAUGE_UPSTREAMS__CHOOSE: `upstreams.choose`: \"loudest\" is not one of round-robin, \
             least-busy, model-aware | choose one of them, as in \"round-robin\"",
            "flag --listen: `proxy.listen`: \"localhost:1234\" is not an address | write \"127.0.0.1:1234\"",
        ]
    );
}

#[test]
fn error_for_address_says_what_to_write() {
    for (text, advice) in [
        ("localhost:1234", "write \"127.0.0.1:1234\""),
        ("1234", "write \"127.0.0.1:1234\""),
        (":1234", "write \"0.0.0.0:1234\" for every interface"),
        ("*:1234", "write \"0.0.0.0:1234\" for every interface"),
        ("10.0.0.1", "add a port, as in \"10.0.0.1:11440\""),
        ("::1", "add a port, as in \"[::1]:11440\""),
        ("gpu0:1234", "write an IP address and the port, as in \"127.0.0.1:1234\": names are not resolved"),
        ("gpu0", "write IP:PORT, as in \"127.0.0.1:11440\""),
    ] {
        let mistakes = wrong(&variable(Sources::default(), "STREAMGAUGE_PROXY__LISTEN", text));
        assert_eq!(mistakes[0].split(" | ").nth(1), Some(advice), "{text}");
    }
}

#[test]
fn unclosed_header_is_one_error_and_hides_none_of_another_table() {
    assert_eq!(
        wrong(&file("[proxy\nlisten = \"127.0.0.1:1\"\nworker = 2\n[log]\nlevel = \"loud\"\n")),
        [
            "s.toml:1: unclosed table, expected `]` | correct this line; put text in quotes",
            "s.toml:5: `log.level`: \"loud\" is not one of error, warn, info, debug, trace | \
             choose one of them, as in \"error\"",
        ]
    );
    assert_eq!(
        wrong(&file("[access]\nroutes = [\"chat\"\n[log]\nlevel = \"info\"\n")),
        ["s.toml:2: unclosed array, expected `]` | correct this line; put text in quotes"]
    );
}

#[test]
fn error_is_reported_for_each_invalid_value() {
    let text = "[shaping]\nadaptive = { target = 2, floor = \"a\", clieling = 3 }\n\
                [access]\nanonymous = { requests_burst = 1, tokens_burst = 1 }\n\
                routes = [\"caht\", \"tasg\", 1]\norigins = [\"a\", \"b\"]\n";
    let mistakes = wrong(&file(text));
    let told: Vec<_> = mistakes.iter().map(|mistake| mistake.split(" | ").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "s.toml:2: `shaping.adaptive`: unknown key `clieling`",
            "s.toml:2: `shaping.adaptive`: `floor`: expected a number, not a string",
            "s.toml:2: `shaping.adaptive`: `target`: 2 is out of range",
            "s.toml:4: `access.anonymous`: `requests_burst` has no effect without `requests`",
            "s.toml:4: `access.anonymous`: `tokens_burst` has no effect without `tokens`",
            "s.toml:5: `access.routes`: \"caht\" is not a route or a group of routes",
            "s.toml:5: `access.routes`: \"tasg\" is not a route or a group of routes",
            "s.toml:5: `access.routes`: expected a string, not an integer",
            "s.toml:6: `access.origins`: \"a\" is not an origin",
            "s.toml:6: `access.origins`: \"b\" is not an origin",
        ]
    );
}

#[test]
fn file_in_another_format_is_one_error_that_names_the_format() {
    for (text, line, format) in [
        ("proxy:\n  listen: 127.0.0.1:1\n  workers: 2\n", 1, "YAML"),
        ("# ours\n---\nproxy:\n", 2, "YAML"),
        ("{\n  \"proxy\": {\n  }\n}\n", 1, "JSON"),
    ] {
        let told = format!(
            "s.toml:{line}: the file is {format}, but the configuration must be TOML | \
            write [proxy] on a line of its own, and listen = \"127.0.0.1:11440\" below it"
        );
        assert_eq!(wrong(&file(text)), [told]);
    }
}

#[test]
fn key_entry_with_wrong_number_of_secrets_is_an_error() {
    let secret = "0".repeat(64);
    for (secrets, what, advice) in [
        (
            String::new(),
            "the entry has none of `sha256`, `key_file` and `key_env`",
            "add one of them, as in key_file = \"/run/secrets/alice\"",
        ),
        (
            format!("sha256 = \"{secret}\"\nkey_env = \"PATH\""),
            "the entry has more than one of `sha256`, `key_file` and `key_env`",
            "keep one of them",
        ),
    ] {
        let mistakes = wrong(&file(&format!("[[key]]\nname = \"alice\"\n{secrets}\n")));
        assert_eq!(mistakes, [format!("s.toml:1: `key`: {what} | {advice}")]);
    }
}
