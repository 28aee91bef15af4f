//! The sources, the settings that they resolve to, and the reported mistakes.

mod keys;
mod messages;
mod upstream;

use std::{path::PathBuf, time::Duration};

use super::{
    Config, Flags, LogFormat, Mistakes, Resolved, SettingPlace,
    entry::ENTRY_KEYS,
    key::KEY_KEYS,
    resolve::resolve,
    setting::{SETTINGS, Setting},
    source::Sources,
};
use crate::{
    admission::{Access, Digest},
    protocol::Route,
    scheduler::FairBy,
    shaping::{OpenAiUsage, adaptive::Input},
    upstream::Policy,
};

const DOCUMENTATION: &str = include_str!("../../docs/reference/configuration.md");

fn file(text: &str) -> Sources {
    Sources { file: Some((PathBuf::from("s.toml"), text.to_owned())), ..Sources::default() }
}

fn variable(mut sources: Sources, name: &str, value: &str) -> Sources {
    sources.environment.push((name.to_owned(), value.to_owned()));
    sources
}

fn right(sources: &Sources) -> Resolved {
    resolve(sources, Vec::new()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Each mistake on one line.
fn wrong(sources: &Sources) -> Vec<String> {
    let Mistakes(mistakes) = resolve(sources, Vec::new()).expect_err("a mistake");
    mistakes.iter().map(|mistake| mistake.to_string().replace("\n       ", " | ")).collect()
}

#[test]
fn empty_configuration_is_all_defaults() {
    let resolved = right(&Sources::default());
    assert_eq!(format!("{:?}", resolved.config), format!("{:?}", Config::default()));
}

#[test]
fn value_of_every_kind_is_read() {
    let resolved = right(&file(
        r#"
        proxy.listen = "0.0.0.0:1"
        proxy.workers = 0x2
        proxy.max_head = "16KiB"
        proxy.drain_timeout = "1m 30s"
        log = { format = "json", level = "debug" }
        upstream = [{ url = "http://a:1" }, { name = "b", url = "http://b" }]
        upstreams = { choose = "least-busy", primary = "b" }
        "#,
    ));
    let config = resolved.config;
    assert_eq!(config.sidecar.proxy.listen, "0.0.0.0:1".parse().unwrap());
    assert_eq!(config.workers, 2);
    assert_eq!(config.sidecar.proxy.max_head, 16 << 10);
    assert_eq!(config.sidecar.drain_timeout, Duration::from_secs(90));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, tracing::Level::DEBUG));
    assert_eq!(config.sidecar.upstream.choose, Policy::LeastBusy);
    let names: Vec<_> = config.sidecar.upstream.upstreams.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["upstream0", "b"]);
}

#[test]
fn collector_setting_is_off_or_an_interval() {
    let sources = file("[collectors]\ngpu = \"off\"\nmodels = \"30s\"");
    let resolved = right(&variable(sources, "STREAMGAUGE_COLLECTORS__LAG", "off"));
    let collectors = &resolved.config.sidecar.collectors;
    assert_eq!((collectors.gpu, collectors.lag), (None, None));
    assert_eq!(collectors.models, Some(Duration::from_secs(30)));
    assert!(resolved.to_toml().contains("gpu = \"off\"  # s.toml:2"), "{}", resolved.to_toml());
    assert_eq!(
        wrong(&file("[collectors]\ngpu = false\nlag = \"0s\"\nprocess = \"of\"")),
        [
            "s.toml:2: `collectors.gpu`: expected a string, not a boolean | write a string, as in \"1s\"",
            "s.toml:3: `collectors.lag`: 0s is out of range | write a value from 1ms to 24h",
            "s.toml:4: `collectors.process`: \"of\" is not a duration | \
             write a number and ms, s, m or h, as in \"10s\"",
        ]
    );
}

#[test]
fn setting_from_flag_overrides_environment_and_environment_overrides_file() {
    let mut sources =
        file("[proxy]\nlisten = \"127.0.0.1:1\"\nmax_head = \"16KiB\"\n[log]\nlevel = \"warn\"");
    sources = variable(sources, "STREAMGAUGE_PROXY__LISTEN", "127.0.0.1:2");
    sources = variable(sources, "STREAMGAUGE_LOG__LEVEL", "debug");
    sources.flags.settings = vec![("proxy.listen", "127.0.0.1:3".to_owned())];
    let resolved = right(&sources);
    assert_eq!(resolved.config.sidecar.proxy.listen.port(), 3);
    assert_eq!(resolved.config.sidecar.proxy.max_head, 16 << 10);
    assert_eq!(resolved.config.log.level, tracing::Level::DEBUG);
    assert_eq!(resolved.origins["proxy.max_head"], SettingPlace::File(PathBuf::from("s.toml"), 3));
    assert_eq!(resolved.origins["log.level"], SettingPlace::Environment("STREAMGAUGE_LOG__LEVEL".to_owned()));
    assert_eq!(resolved.origins["proxy.listen"], SettingPlace::Flag("--listen".to_owned()));
}

#[test]
fn upstreams_from_flags_replace_those_of_the_file() {
    let mut sources = file("[[upstream]]\nname = \"old\"\nurl = \"http://old\"");
    sources.flags.upstreams = vec!["http://a:1".to_owned(), "gpu=http://b:1".to_owned()];
    let upstreams = right(&sources).config.sidecar.upstream.upstreams;
    let shown: Vec<_> = upstreams.iter().map(|one| format!("{} {}", one.name, one.url)).collect();
    assert_eq!(shown, ["upstream0 http://a:1/", "gpu http://b:1/"]);
}

#[test]
fn errors_of_every_layer_are_reported_at_once() {
    let mut sources = file(
        r#"[proxy]
lisen = "127.0.0.1:1"
listen = "localhost:80"
workers = "4"
max_head = 65536
peek_limit = "64KB"
drain_timeout = 30
level = "info"
header_timeout = "0s"

[log]
format = "jsn"
level = 3

[[upstream]]
name = "a b"

[[upstream]]
uri = "http://a"
url = "127.0.0.1"

[metrcs]
"#,
    );
    sources = variable(sources, "STREAMGAUGE_PROXY__LISTN", "127.0.0.1:2");
    sources = variable(sources, "STREAMGAUGE_UPSTREAM__URL", "http://a");
    sources = variable(sources, "STREAMGAUGE_PROXY__WORKERS", "many");
    sources.flags.settings = vec![("admin.listen", ":9464".to_owned())];
    sources.flags.upstreams = vec!["b=https://b/v1".to_owned()];
    assert_eq!(
        wrong(&sources),
        [
            "s.toml:2: `proxy.lisen`: unknown key | did you mean `proxy.listen`?",
            r#"s.toml:3: `proxy.listen`: "localhost:80" is not an address | write "127.0.0.1:80""#,
            "s.toml:4: `proxy.workers`: expected a whole number, not a string | write it without quotes: 4",
            r#"s.toml:5: `proxy.max_head`: 65536 has no unit | write "65536B" for bytes, or use KiB, MiB or GiB"#,
            r#"s.toml:6: `proxy.peek_limit`: "64KB" is not a size | write "64KiB""#,
            r#"s.toml:7: `proxy.drain_timeout`: 30 has no unit | write "30s" for seconds"#,
            "s.toml:8: `proxy.level`: unknown key | did you mean `log.level`?",
            "s.toml:9: `proxy.header_timeout`: 0s is out of range | write a value from 1ms to 24h",
            r#"s.toml:12: `log.format`: "jsn" is not one of text, json | did you mean `json`?"#,
            r#"s.toml:13: `log.level`: expected a string, not an integer | write a string, as in "error""#,
            "s.toml:15: `upstream.url`: the upstream has no url | add one, as in url = \"http://127.0.0.1:11434\"",
            "s.toml:16: `upstream.name`: \"a b\" is not a valid name of an upstream | \
             write 1 to 63 letters, digits, dots, dashes or underscores, as in \"gpu0\"",
            "s.toml:19: `upstream.uri`: unknown key | did you mean `upstream.url`?",
            r#"s.toml:20: `upstream.url`: the URL has no port | write "http://127.0.0.1:11434""#,
            "s.toml:22: `metrcs`: unknown section | did you mean `metrics`?",
            "environment STREAMGAUGE_PROXY__LISTN: unknown variable | \
             did you mean `STREAMGAUGE_PROXY__LISTEN`?",
            "environment STREAMGAUGE_UPSTREAM__URL: unknown variable | \
             set upstreams with STREAMGAUGE_UPSTREAM, --upstream or the file",
            "environment STREAMGAUGE_PROXY__WORKERS: `proxy.workers`: \"many\" is not a whole number | \
             write a whole number from 0 to 1024",
            "flag --admin: `admin.listen`: \":9464\" is not an address | \
             write \"0.0.0.0:9464\" for every interface",
            "flag --upstream: `upstream.url`: the URL has a path | write http://HOST:PORT, as in \"http://127.0.0.1:11434\"",
        ]
    );
}

#[test]
fn conflicting_settings_are_reported_with_what_to_change() {
    let sources = file(
        r#"upstreams.primary = "gpu1"
proxy.listen = "0.0.0.0:11500"
admin.listen = "127.0.0.1:11500"
[[upstream]]
name = "gpu0"
url = "http://localhost:11500"
[[upstream]]
name = "gpu0"
url = "http://b"
"#,
    );
    assert_eq!(
        wrong(&sources),
        [
            "s.toml:3: `admin.listen`: `proxy.listen` (0.0.0.0:11500) and `admin.listen` (127.0.0.1:11500) use \
             the same port | choose another port for one of them",
            "s.toml:4: `upstream.url`: the url of \"gpu0\" is the address of this sidecar's own `proxy.listen` | \
             write the address of an Ollama, or choose another address for the listener",
            "s.toml:4: `upstream.url`: the url of \"gpu0\" is the address of this sidecar's own `admin.listen` | \
             write the address of an Ollama, or choose another address for the listener",
            "s.toml:7: `upstream.name`: the name \"gpu0\" is used by another upstream | give each upstream its own name",
            "s.toml:1: `upstreams.primary`: no upstream is named \"gpu1\" | did you mean `gpu0`?",
        ]
    );
}

#[test]
fn port_0_twice_is_no_conflict() {
    right(&file("proxy.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\""));
}

#[test]
fn listener_on_default_ollama_address_is_a_conflict() {
    let mistakes = wrong(&file("[proxy]\nlisten = \"127.0.0.1:11434\""));
    assert!(mistakes[0].starts_with("s.toml:2: `upstream.url`: the url of \"upstream0\" is"), "{mistakes:?}");
}

#[test]
fn broken_toml_hides_no_other_error() {
    let mistakes = wrong(&file("[proxy]\nlisten = \nworkers = \"x\"\n[log]\nlevel = = 3\nformat = \"xml\""));
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["s.toml:2", "s.toml:3", "s.toml:5", "s.toml:6"], "{mistakes:#?}");
}

#[test]
fn upstream_that_is_no_array_of_tables_is_an_error() {
    for (text, said) in [
        ("[upstream]\nurl = \"http://a\"", "expected an array of tables, not a table"),
        ("upstream = []", "the list is empty"),
        ("upstream = [\"http://a\"]", "expected a table, not a string"),
        ("proxy = 3", "expected a table, not an integer"),
    ] {
        let mistakes = wrong(&file(text));
        assert!(mistakes[0].contains(said), "{mistakes:?}");
    }
}

#[test]
fn shown_configuration_can_be_read_back() {
    let mut sources = file("upstreams.primary = \"b\"\nproxy.max_head = \"9000B\"\nlog.level = \"trace\"");
    sources.flags.upstreams = vec!["http://a:1".to_owned(), "b=http://[::1]:2".to_owned()];
    let once = right(&sources);
    let again = right(&file(&once.to_toml()));
    assert_eq!(format!("{:?}", again.config), format!("{:?}", once.config));
    assert!(once.to_toml().contains("max_head = \"9000B\"  # s.toml:2"), "{}", once.to_toml());
}

#[test]
fn shown_setting_is_read_from_file_and_environment() {
    let config = Config::default();
    for setting in SETTINGS.iter() {
        let Some(shown) = setting.field.show(&config) else { continue };
        right(&file(&format!("{} = {shown}", setting.key)));
        right(&variable(Sources::default(), &setting.variable(), shown.trim_matches('"')));
    }
}

const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn keys_access_queue_and_shaping_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "def\n").unwrap();
    let resolved = right(&file(&format!(
        r#"
        queue = {{ size = 0, timeout = "5s", fair_by = "none" }}
        [access]
        require_key = true
        routes = ["chat", "openai"]
        origins = ["https://Chat.example", "https://*.example.org"]
        anonymous = {{ requests = "10/min", tokens = "5/s", tokens_burst = 50 }}
        [[key]]
        name = "alice"
        sha256 = "{SHA256}"
        requests_burst = 5
        requests = "60/min"
        max_streams = 2
        routes = ["chat"]
        pace = 60
        [[key]]
        name = "bob"
        key_file = {path:?}
        [shaping]
        pace = 30
        pace_buffer = "64KiB"
        adaptive = {{ input = "overlap", floor = 2.5 }}
        coalesce = {{ bytes = "2KiB" }}
        merge = true
        openai_usage = "inject"
        "#
    )));
    let settings = &resolved.config.sidecar;
    assert_eq!((settings.queue.size, settings.queue.timeout), (0, Duration::from_secs(5)));
    assert_eq!(settings.queue.fair_by, FairBy::None);
    assert!(settings.admission.require_key && !settings.admission.routes.allows(Route::Generate));
    assert_eq!(settings.admission.origins.listed(), ["https://chat.example", "https://*.example.org"]);
    assert_eq!(settings.admission.anonymous.tokens.unwrap().burst.get(), 50);
    let [alice, bob] = settings.admission.keys.as_slice() else { panic!("{:?}", settings.admission) };
    assert_eq!((alice.name.as_str(), alice.digest), ("alice", Digest::of(b"abc")));
    assert_eq!((alice.limits.max_streams, alice.pace), (Some(2), Some(60)));
    let requests = alice.limits.requests.unwrap();
    assert_eq!((requests.count.get(), requests.burst.get()), (60, 5));
    assert_eq!((bob.digest, bob.routes), (Digest::of(b"def"), Access::ALL));
    let shaping = &settings.shaping;
    assert_eq!((shaping.pace, shaping.pace_buffer, shaping.merge), (30, 64 << 10, true));
    let adaptive = shaping.adaptive.unwrap();
    assert_eq!((adaptive.input, adaptive.floor, adaptive.target), (Input::Overlap, 2.5, 0.9));
    assert_eq!(shaping.coalesce.unwrap().bytes, 2048);
    assert_eq!(shaping.openai_usage, OpenAiUsage::Inject);
    let shown = resolved.to_toml();
    assert!(shown.contains("sha256 = \"***\"") && !shown.contains(&SHA256[..8]), "{shown}");
}

#[test]
fn settings_of_several_values_are_read_from_the_environment() {
    let mut sources = variable(Sources::default(), "STREAMGAUGE_ACCESS__ROUTES", "chat, tags");
    sources = variable(sources, "STREAMGAUGE_ACCESS__ANONYMOUS", "{ requests = \"1/s\" }");
    sources = variable(sources, "STREAMGAUGE_SHAPING__COALESCE", "{ delay = \"20ms\" }");
    sources = variable(sources, "STREAMGAUGE_SHAPING__MERGE", "true");
    let resolved = right(&sources);
    let again = right(&file(&resolved.to_toml()));
    assert_eq!(format!("{:?}", again.config), format!("{:?}", resolved.config));
    assert_eq!(resolved.config.sidecar.shaping.coalesce.unwrap().delay, Duration::from_millis(20));
}

#[test]
fn errors_in_keys_and_tables_are_reported_without_repeating_a_key() {
    let mistakes = wrong(&file(
        r#"[queue]
size = -1
timeout = 3
[access]
require_key = "true"
routes = ["chats"]
anonymous = { request = "1/s" }
[[key]]
name = "sk very secret"
sha256 = "sk-very-secret"
[[key]]
name = "anonymous"
key_env = "STREAMGAUGE_TEST_UNSET"
requests = "0/min"
tokens_burst = 5
[[key]]
[shaping]
pace = "60"
adaptive = { floor = 50, ceiling = 20 }
coalesce = { delay = "1h" }
openai_usage = "strip"
"#,
    ));
    let all = mistakes.join("\n");
    assert!(!all.contains("sk very"), "{all}");
    for said in [
        "s.toml:2: `queue.size`: -1 is out of range | write a whole number from 0 to 100000",
        "s.toml:3: `queue.timeout`: 3 has no unit",
        "s.toml:5: `access.require_key`: expected true or false, not a string | write it without quotes: true",
        "s.toml:6: `access.routes`: \"chats\" is not a route or a group of routes | did you mean `chat`?",
        "s.toml:7: `access.anonymous`: unknown key `request` | did you mean `requests`?",
        "s.toml:9: `key.name`: the text is not a valid name of a caller",
        "s.toml:10: `key.sha256`: the text is not 64 hexadecimal digits",
        "s.toml:12: `key.name`: \"anonymous\" is reserved: the metrics use it in the label `caller`",
        "s.toml:13: `key.key_env`: the variable \"STREAMGAUGE_TEST_UNSET\" is not set",
        "s.toml:14: `key.requests`: 0 is out of range",
        "s.toml:11: `key`: `tokens_burst` has no effect without `tokens`",
        "s.toml:16: `key`: the entry has no `name` | add one, as in name = \"alice\"",
        "s.toml:16: `key`: the entry has none of `sha256`, `key_file` and `key_env` | add one of them, as in \
         key_file = \"/run/secrets/alice\"",
        "s.toml:18: `shaping.pace`: expected a whole number, not a string | write it without quotes: 60",
        "s.toml:19: `shaping.adaptive`: the floor (50) is above the ceiling (20)",
        "s.toml:20: `shaping.coalesce`: `delay`: 1h is out of range",
        "s.toml:21: `shaping.openai_usage`: \"strip\" is not one of off, inject, inject-and-strip",
    ] {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(said)), "{said}\n{all}");
    }
    assert_eq!(mistakes.len(), 17, "{all}");
}

#[test]
fn conflicting_keys_are_reported() {
    let mistakes = wrong(&file(&format!(
        "access.require_key = true\nkey = [{{ name = \"a\", sha256 = \"{SHA256}\" }},\n{{ name = \"a\", sha256 = \"{SHA256}\" }}]"
    )));
    assert_eq!(
        mistakes,
        [
            "s.toml:3: `key.name`: the name \"a\" is used by another key, at s.toml:2 | give each key its own name",
            "s.toml:3: `key`: \"a\" has the same key as \"a\", at s.toml:2 | give each caller its own key",
        ]
    );
    let mistakes = wrong(&file("access.require_key = true"));
    assert!(mistakes[0].starts_with("s.toml:1: `access.require_key`: no key is configured"));
}

/// The rows of the documentation's tables equal the settings: keys, defaults, kinds, names, meanings.
#[test]
fn configuration_reference_matches_code() {
    let config = Config::default();
    let mut rows: Vec<String> = SETTINGS.iter().map(|setting| row(setting, &config)).collect();
    let upstream = &config.sidecar.upstream.upstreams[0];
    rows.extend(ENTRY_KEYS.iter().map(|key| {
        let default = (key.show)(upstream).map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
        let flag = if ["name", "url"].contains(&key.leaf) { "`--upstream` " } else { "" };
        format!("| `upstream.{}` | {default} | {} | | {flag}| {} |", key.leaf, key.kind, key.doc)
    }));
    rows.extend(
        KEY_KEYS.iter().map(|key| format!("| `key.{}` | unset | {} | | | {} |", key.leaf, key.kind, key.doc)),
    );
    // Keys contain a dot. Other tables of the page begin their rows with other words.
    let is_of_a_key = |line: &&str| {
        line.strip_prefix("| `").and_then(|row| row.split('`').next()).is_some_and(|key| key.contains('.'))
    };
    let mut documented: Vec<_> = DOCUMENTATION.lines().filter(is_of_a_key).collect();
    documented.sort_unstable();
    rows.sort_unstable();
    let missing: Vec<_> = rows.iter().filter(|row| !documented.contains(&row.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference/configuration.md lacks\n{missing:#?}");
    assert_eq!(
        documented.len(),
        rows.len(),
        "docs/reference/configuration.md has rows of no setting: {documented:#?}"
    );
}

fn row(setting: &Setting, config: &Config) -> String {
    let default = setting.field.show(config).map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
    let flag = setting.flag.map_or_else(String::new, |flag| format!("`{flag}` "));
    let (key, kind, variable) = (setting.key, setting.field.kind(), setting.variable());
    format!("| `{key}` | {default} | {kind} | `{variable}` | {flag}| {} |", setting.doc)
}

#[test]
fn documented_sample_is_valid_and_names_every_setting() {
    let sample = DOCUMENTATION.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let resolved = right(&file(sample));
    for setting in SETTINGS.iter() {
        // The files of these keys are opened at once, and the reader of a sample does not have them.
        let of_store = ["shared.username", "shared.password_file", "shared.password_env", "shared.ca_file"];
        let of_traces = ["traces.headers_file", "traces.headers_env", "traces.ca_file"];
        let of_file = [
            "proxy.tls",
            "admin.tls",
            "admin.token_file",
            "access.keys_file",
            "log.requests_file",
            "recording.folder",
        ]
        .contains(&setting.key)
            || of_store.contains(&setting.key)
            || of_traces.contains(&setting.key);
        let is_told = of_file && sample.contains(&format!("# {} = ", setting.leaf()));
        assert!(resolved.origins.contains_key(setting.key) || is_told, "the sample lacks {}", setting.key);
    }
}

#[test]
fn admin_token_is_read_and_not_shown() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    let text = format!("admin.token_file = {path:?}");
    std::fs::write(&path, " sesame\n").unwrap();
    let resolved = right(&file(&text));
    assert!(resolved.config.sidecar.admin.token.is_some());
    assert!(resolved.to_toml().contains(&format!("token_file = {path:?}")));
    assert!(!format!("{resolved:?}").contains("sesame"));
    for (content, said) in [(Some(" \n"), "contains no token"), (None, "cannot read")] {
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let mistakes = resolve(&file(&text), Vec::new()).unwrap_err();
        assert!(mistakes.0[0].to_string().contains(said), "{}", mistakes.0[0]);
    }
}

#[test]
fn unreadable_file_is_an_error_of_its_flag() {
    let flags = Flags { file: Some(PathBuf::from("/nonexistent/s.toml")), ..Flags::default() };
    let (_, mistakes) = Sources::read(&flags);
    assert_eq!(mistakes[0].place, SettingPlace::Flag("--config".to_owned()));
}
