//! `[traces]`: where the spans of requests are sent.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use toml::de::{DeTable, DeValue};
use url::Url;

use super::{
    certificate,
    field::{Given, wrong_type},
    mistake::{Mistake, Problem, Problems},
    resolve::Resolved,
    settings::TracesSettings,
    source,
};
use crate::{
    tls::{Authorities, Trust, Unusable},
    traces,
};

const ENDPOINT: &str = "\"http://127.0.0.1:4318\"";
const ATTRIBUTES: &str = "{ \"deployment.environment.name\" = \"production\" }";
const SERVICE_NAME: &str = "service.name";
/// The path of the endpoint for traces, as OTLP defines it.
const PATH: &str = "/v1/traces";

/// Reads the URL of the endpoint. The errors never repeat a password.
pub(super) fn endpoint(given: Given<'_>) -> Result<String, Problem> {
    let text = given.text(ENDPOINT)?;
    let advice = format!("write http://HOST:PORT or https://HOST:PORT, as in {ENDPOINT}");
    let problem = |what: &str| Problem::new(what, advice.clone());
    let url = Url::parse(text).map_err(|error| problem(&format!("the URL is invalid: {error}")))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(problem("the scheme of the URL is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let what = "the URL has a user name or a password";
        return Err(Problem::new(
            what,
            "remove it, and write the field Authorization into traces.headers_file",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("the URL has a query or a fragment"));
    }
    Ok(text.to_owned())
}

/// The URL to which spans are posted.
fn target(endpoint: &str) -> Url {
    let mut url = Url::parse(endpoint).expect("it was parsed before");
    let base = url.path().trim_end_matches('/');
    if !base.ends_with(PATH) {
        let path = format!("{base}{PATH}");
        url.set_path(&path);
    }
    url
}

/// Reads the attributes of the resource. The environment gives them as TOML text.
pub(super) fn attributes(given: Given<'_>) -> Result<Vec<(String, String)>, Problems> {
    match given {
        Given::Toml(DeValue::Table(table)) => read_attributes(table),
        Given::Toml(other) => Err(wrong_type(other, "a table", ATTRIBUTES).into()),
        Given::Text(text) => match DeValue::parse(text).as_ref().map(toml::Spanned::get_ref) {
            Ok(DeValue::Table(table)) => read_attributes(table),
            _ => {
                let what = format!("{text:?} is not a table");
                Err(Problem::new(what, format!("write one, as in {ATTRIBUTES}")).into())
            }
        },
    }
}

fn read_attributes(table: &DeTable<'_>) -> Result<Vec<(String, String)>, Problems> {
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::String(value) => read.push((key.to_owned(), value.clone().into_owned())),
            DeValue::Table(_) => {
                let what = format!("`{key}` is a table, because a name with a dot needs quotes");
                problems.push(Problem::new(what, format!("write it in quotes, as in {ATTRIBUTES}")));
            }
            other => {
                let problem = wrong_type(other, "a string", "\"production\"");
                problems.push(Problem { what: format!("`{key}`: {}", problem.what), ..problem });
            }
        }
    }
    if read.iter().all(|(key, _)| key != SERVICE_NAME) {
        read.extend(TracesSettings::default().attributes);
    }
    Problems::or(problems, read)
}

pub(super) fn show_attributes(attributes: &[(String, String)]) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let shown: Vec<_> =
        attributes.iter().map(|(key, value)| format!("{} = {}", quoted(key), quoted(value))).collect();
    format!("{{ {} }}", shown.join(", "))
}

/// Reads header fields from a file or a variable. The errors never repeat a value.
pub(super) fn headers(config: &mut TracesSettings, leaf: &str, given: Given<'_>) -> Result<(), Problems> {
    let is_file = leaf == "headers_file";
    let name = given.text(if is_file { "\"/run/secrets/otlp\"" } else { "\"OTLP_HEADERS\"" })?;
    let secret = if is_file { source::secret_file(name)? } else { source::secret_variable(name)? };
    let (mut headers, mut problems) = (HeaderMap::new(), Vec::new());
    let lines = secret.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (index, line) in lines {
        match header_field(line) {
            Some((name, value)) => {
                headers.append(name, value);
            }
            None => {
                let what = format!("line {} is not a header field for the endpoint", index + 1);
                problems.push(Problem::new(what, "write Name: value, as in Authorization: Bearer TOKEN"));
            }
        }
    }
    if headers.is_empty() && problems.is_empty() {
        let advice = "write Name: value on a line, or remove this key";
        problems.push(Problem::new("there is no header field", advice));
    }
    Problems::or(problems, ())?;
    config.headers = headers;
    let place = if is_file { &mut config.headers_file } else { &mut config.headers_env };
    *place = Some(name.to_owned());
    Ok(())
}

/// `None`: the line is no field, or one that HTTP or OTLP decides.
fn header_field(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name: HeaderName = name.trim().parse().ok()?;
    let decided = [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
    ];
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    (!decided.contains(&name)).then_some((name, value))
}

/// Reads the authorities that verify the endpoint.
pub(super) fn authorities(config: &mut TracesSettings, given: Given<'_>) -> Result<(), Problems> {
    let (authorities, file) = certificate::authorities(given)?;
    (config.authorities, config.ca_file) = (Some(authorities), Some(file));
    Ok(())
}

/// Puts the settings together, or reports what contradicts.
pub(super) fn finish(resolved: &mut Resolved, mistakes: &mut Vec<Mistake>) {
    let settings = resolved.config.traces.clone();
    let mut wrong = |key: &'static str, problem: Problem| {
        if let Some(place) = resolved.origins.get(key) {
            mistakes.push(problem.at(place.clone(), key));
        }
    };
    let Some(endpoint) = &settings.endpoint else {
        // The others have defaults, which `check` shows.
        let given = ["traces.headers_file", "traces.headers_env", "traces.ca_file"];
        if let Some(key) = given.into_iter().find(|key| resolved.origins.contains_key(key)) {
            let advice = format!("add traces.endpoint, as in endpoint = {ENDPOINT}, or remove this key");
            wrong(key, Problem::new("the key has no effect without `traces.endpoint`", advice));
        }
        return;
    };
    let endpoint = target(endpoint);
    let is_https = endpoint.scheme() == "https";
    if settings.headers_file.is_some() && settings.headers_env.is_some() {
        let problem =
            Problem::new("the header fields are set twice", "keep one of `headers_file` and `headers_env`");
        wrong("traces.headers_env", problem);
    }
    if settings.authorities.is_some() && !is_https {
        let problem =
            Problem::new("this key needs an https endpoint", "write https:// in the URL, or remove this key");
        wrong("traces.ca_file", problem);
    }
    let trust = match is_https.then(|| trust(settings.authorities.as_ref())).transpose() {
        Ok(trust) => trust,
        Err(flaw) => {
            let problem = Problem::new(flaw.to_string(), certificate::advice(&flaw));
            return wrong("traces.endpoint", problem);
        }
    };
    let TracesSettings { headers, attributes, sample_ratio, interval, timeout, queue, .. } = settings;
    resolved.config.sidecar.traces =
        Some(traces::Config { endpoint, trust, headers, attributes, sample_ratio, interval, timeout, queue });
}

fn trust(authorities: Option<&Authorities>) -> Result<Trust, Unusable> {
    match authorities {
        Some(authorities) => Ok(Trust::only(authorities.clone(), None)),
        None => Trust::system(None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{resolve::resolve, source::Sources};

    fn read(text: &str) -> Result<Resolved, String> {
        let file = Some((PathBuf::from("s.toml"), format!("[traces]\n{text}\n")));
        resolve(&Sources { file, ..Sources::default() }, Vec::new()).map_err(|mistakes| mistakes.to_string())
    }

    fn config(text: &str) -> traces::Config {
        read(text).unwrap().config.sidecar.traces.expect("an endpoint is set")
    }

    #[test]
    fn spans_are_posted_below_the_endpoint() {
        for (endpoint, posted) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://otlp.example/otlp", "https://otlp.example/otlp/v1/traces"),
            ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(config(&format!("endpoint = {endpoint:?}")).endpoint.as_str(), posted);
        }
        assert!(config("endpoint = \"https://a\"").trust.is_some());
        assert!(read("sample_ratio = 0.5").unwrap().config.sidecar.traces.is_none());
    }

    #[test]
    fn endpoint_has_no_secret_in_its_url() {
        for (endpoint, said) in [
            ("http://me:hunter2@a", "the URL has a user name or a password"),
            ("http://a?key=hunter2", "the URL has a query or a fragment"),
            ("grpc://hunter2", "the scheme of the URL is neither http nor https"),
            ("hunter2", "the URL is invalid: relative URL without a base"),
        ] {
            let mistakes = read(&format!("endpoint = {endpoint:?}")).unwrap_err();
            assert!(mistakes.contains(said) && !mistakes.contains("hunter2"), "{mistakes}");
        }
    }

    #[test]
    fn attributes_have_a_service_name() {
        let with = |text: &str| config(&format!("endpoint = \"http://a\"\nattributes = {text}")).attributes;
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(with("{ a = \"b\" }"), [own("a", "b"), own("service.name", "streamgauge")]);
        assert_eq!(with("{ \"service.name\" = \"x\" }"), [own("service.name", "x")]);
        let shown = read("attributes = { \"a.b\" = \"c\\\"d\" }").unwrap().to_toml();
        assert!(
            shown.contains("attributes = { \"a.b\" = 'c\"d', \"service.name\" = \"streamgauge\" }"),
            "{shown}"
        );
        for (text, said) in [
            ("{ a.b = \"c\" }", "`a` is a table, because a name with a dot needs quotes"),
            ("{ a = 1 }", "`a`: expected a string, not an integer"),
            ("\"a\"", "expected a table, not a string"),
        ] {
            let mistakes = read(&format!("attributes = {text}")).unwrap_err();
            assert!(mistakes.contains(said), "{mistakes}");
        }
    }

    #[test]
    fn header_fields_are_read_and_never_shown() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("headers");
        let text = format!("endpoint = \"http://a\"\nheaders_file = {path:?}");
        std::fs::write(&path, "Authorization: Bearer hunter2\n\nX-Scope-OrgID:  team\n").unwrap();
        let resolved = read(&text).unwrap();
        let headers = &resolved.config.sidecar.traces.as_ref().unwrap().headers;
        assert_eq!(
            (&headers["authorization"], &headers["x-scope-orgid"]),
            (&"Bearer hunter2".parse().unwrap(), &"team".parse().unwrap())
        );
        assert!(!format!("{resolved:?}").contains("hunter2") && !resolved.to_toml().contains("hunter2"));
        for (content, said) in [
            ("hunter2", "line 1 is not a header field for the endpoint"),
            ("a: b\nhost: hunter2", "line 2 is not a header field for the endpoint"),
            (" \n", "there is no header field"),
        ] {
            std::fs::write(&path, content).unwrap();
            let mistakes = read(&text).unwrap_err();
            assert!(mistakes.contains(said) && !mistakes.contains("hunter2"), "{mistakes}");
        }
    }

    #[test]
    fn settings_of_traces_that_contradict_are_mistakes() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("headers");
        std::fs::write(&path, "a: b").unwrap();
        let mistakes = read(&format!("headers_file = {path:?}")).unwrap_err();
        assert!(mistakes.contains("the key has no effect without `traces.endpoint`"), "{mistakes}");
        let authority = rcgen::generate_simple_self_signed(["otlp.lan".to_owned()]).unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, authority.cert.pem()).unwrap();
        assert!(config(&format!("endpoint = \"https://otlp.lan\"\nca_file = {path:?}")).trust.is_some());
        for (endpoint, said) in [
            ("endpoint = \"http://otlp.lan\"\n", "this key needs an https endpoint"),
            ("", "the key has no effect without `traces.endpoint`"),
        ] {
            let mistakes = read(&format!("{endpoint}ca_file = {path:?}")).unwrap_err();
            assert!(mistakes.contains("`traces.ca_file`") && mistakes.contains(said), "{mistakes}");
        }
        let mistakes = read("sample_ratio = 1.5").unwrap_err();
        assert!(mistakes.contains("`traces.sample_ratio`"), "{mistakes}");
    }
}
