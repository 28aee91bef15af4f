//! `[shared]`: the store of limits that several sidecars share.

use std::path::PathBuf;

use toml::de::DeValue;
use url::Url;

use super::{
    certificate,
    field::{Given, wrong_type},
    mistake::{Mistake, Problem, Problems, SettingPlace},
    resolve::Resolved,
    settings::SharedSettings,
    source, suggest,
};
use crate::{
    store::{self, OnFailure, Secret, Server},
    tls::{Authorities, Trust, Unusable},
};

const EXAMPLE: &str = "\"redis://127.0.0.1:6379\"";
const ADVICE: &str =
    "write redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH, as in \"redis://127.0.0.1:6379\"";

/// Reads one URL, or a list of them. A text separates them by commas.
pub(super) fn servers(given: Given<'_>) -> Result<Vec<Server>, Problems> {
    let read = |text: &str| server(text.trim());
    let servers: Vec<_> = match given {
        Given::Text(text) => text.split(',').map(read).collect(),
        Given::Toml(DeValue::String(text)) => vec![read(text)],
        Given::Toml(DeValue::Array(items)) => {
            items.iter().map(|item| Given::Toml(item.get_ref()).text(EXAMPLE).and_then(read)).collect()
        }
        Given::Toml(other) => return Err(wrong_type(other, "a string or an array", EXAMPLE).into()),
    };
    if servers.is_empty() {
        return Err(Problem::new("the list is empty", ADVICE).into());
    }
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for server in servers {
        match server {
            Ok(server) => good.push(server),
            Err(problem) => problems.push(problem),
        }
    }
    Problems::or(problems, good)
}

/// Parses the URL of a server. The errors never repeat a password.
fn server(text: &str) -> Result<Server, Problem> {
    let problem = |what: &str| Problem::new(what, ADVICE);
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(problem("the URL has no scheme"));
    };
    if scheme == "unix" {
        let path = PathBuf::from(rest);
        return if path.is_absolute() {
            Ok(Server::Unix(path))
        } else {
            Err(problem("the URL has no absolute path"))
        };
    }
    if !["redis", "rediss"].contains(&scheme) {
        return Err(problem("the scheme of the URL is none of redis, rediss and unix"));
    }
    // The parser checks hosts of http as hosts, and those of an unknown scheme hardly at all.
    let url = Url::parse(&format!("http://{rest}"))
        .map_err(|error| problem(&format!("the URL is invalid: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let what = "the URL has a user name or a password";
        return Err(Problem::new(what, "remove it, and set shared.username and shared.password_file"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let what = "the URL has more than a host and a port";
        return Err(Problem::new(what, "remove it, and set shared.database for a database"));
    }
    // The default port of http was left out by the parser.
    let port =
        url.port().or_else(|| rest.trim_end_matches('/').ends_with(":80").then_some(80)).unwrap_or(6379);
    if port == 0 {
        return Err(problem("the URL has port 0"));
    }
    let host = url.host_str().unwrap_or_default();
    let url = Url::parse(&format!("{scheme}://{host}:{port}"))
        .map_err(|error| problem(&format!("the URL is invalid: {error}")))?;
    Ok(Server::Tcp { url, trust: None })
}

/// The servers as TOML; `None` if there are none.
pub(super) fn show_servers(servers: &[Server]) -> Option<String> {
    let quoted: Vec<_> = servers.iter().map(|one| toml::Value::from(written(one)).to_string()).collect();
    match quoted.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

fn written(server: &Server) -> String {
    match server {
        Server::Tcp { url, .. } => url.to_string(),
        other => other.to_string(),
    }
}

/// Reads a policy.
pub(super) fn on_failure(given: Given<'_>) -> Result<OnFailure, Problem> {
    let text = given.text("\"local\"")?;
    let all = [OnFailure::Local, OnFailure::Open, OnFailure::Closed];
    all.into_iter().find(|policy| policy.label() == text).ok_or_else(|| {
        let words = all.map(OnFailure::label);
        let advice = suggest::among(text, words)
            .map_or_else(|| "write one of them, as in \"local\"".to_owned(), suggest::did_you_mean);
        Problem::new(format!("{text:?} is not one of {}", words.join(", ")), advice)
    })
}

/// Reads a prefix.
pub(super) fn prefix(given: Given<'_>) -> Result<String, Problem> {
    let text = given.text("\"streamgauge\"")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
        let advice = "write 1 to 63 letters, digits, dots, dashes, colons or underscores";
        return Err(Problem::new(format!("{text:?} is not a valid prefix"), advice));
    }
    Ok(text.to_owned())
}

/// Reads the password from a file or a variable. The errors never repeat it.
pub(super) fn password(config: &mut SharedSettings, leaf: &str, given: Given<'_>) -> Result<(), Problems> {
    let is_file = leaf == "password_file";
    let name = given.text(if is_file { "\"/run/secrets/redis\"" } else { "\"REDIS_PASSWORD\"" })?;
    let secret = if is_file { source::secret_file(name)? } else { source::secret_variable(name)? };
    match secret.trim() {
        "" => {
            let advice = "write the password into the file or the variable";
            return Err(Problem::new("the password is empty", advice).into());
        }
        text => config.password = Some(Secret::new(text)),
    }
    let place = if is_file { &mut config.password_file } else { &mut config.password_env };
    *place = Some(name.to_owned());
    Ok(())
}

/// Reads the authorities that verify the servers.
pub(super) fn authorities(config: &mut SharedSettings, given: Given<'_>) -> Result<(), Problems> {
    let (authorities, file) = certificate::authorities(given)?;
    (config.authorities, config.ca_file) = (Some(authorities), Some(file));
    Ok(())
}

/// Puts the settings together, or reports what contradicts.
pub(super) fn finish(resolved: &mut Resolved, mistakes: &mut Vec<Mistake>) {
    let SharedSettings { servers, username, password_file, password_env, password, authorities, .. } =
        resolved.config.shared.clone();
    let set: Vec<_> = resolved
        .origins
        .iter()
        .filter(|(key, _)| key.starts_with("shared."))
        .map(|(key, at)| (*key, at.clone()))
        .collect();
    let at = |leaf: &str| -> SettingPlace {
        let found = set.iter().find(|(key, _)| *key == leaf);
        found.map(|(_, place)| place.clone()).expect("the setting was written")
    };
    if servers.is_empty() {
        // The others have defaults, which `check` shows.
        let given = ["shared.username", "shared.password_file", "shared.password_env", "shared.ca_file"];
        if let Some((key, place)) = set.iter().find(|(key, _)| given.contains(key)) {
            let advice = format!("add shared.url, as in url = {EXAMPLE}, or remove this key");
            let problem = Problem::new("the key has no effect without `shared.url`", advice);
            mistakes.push(problem.at(place.clone(), *key));
        }
        return;
    }
    if password_file.is_some() && password_env.is_some() {
        let problem =
            Problem::new("the password is set twice", "keep one of `password_file` and `password_env`");
        mistakes.push(problem.at(at("shared.password_env"), "shared.password_env"));
    }
    if username.is_some() && password.is_none() {
        let advice = "add `password_file` or `password_env`, or remove this key";
        let problem = Problem::new("the user has no password", advice);
        mistakes.push(problem.at(at("shared.username"), "shared.username"));
    }
    let is_secured = |server: &Server| matches!(server, Server::Tcp { url, .. } if url.scheme() == "rediss");
    if authorities.is_some() && !servers.iter().any(is_secured) {
        let problem =
            Problem::new("this key needs a rediss url", "write rediss:// in the url, or remove this key");
        mistakes.push(problem.at(at("shared.ca_file"), "shared.ca_file"));
    }
    let verified: Result<Vec<_>, _> =
        servers.into_iter().map(|server| verified(server, authorities.as_ref())).collect();
    let servers = match verified {
        Ok(servers) => servers,
        Err(flaw) => {
            let problem = Problem::new(flaw.to_string(), certificate::advice(&flaw));
            return mistakes.push(problem.at(at("shared.url"), "shared.url"));
        }
    };
    let SharedSettings { database, prefix, deadline, on_failure, .. } = resolved.config.shared.clone();
    resolved.config.sidecar.shared = Some(store::Config {
        servers,
        username,
        password,
        database: u32::try_from(database).unwrap_or(u32::MAX),
        prefix,
        deadline,
        on_failure,
    });
}

/// The server with its verification, if its URL is `rediss`.
fn verified(server: Server, authorities: Option<&Authorities>) -> Result<Server, Unusable> {
    match server {
        Server::Tcp { url, .. } if url.scheme() == "rediss" => {
            let trust = match authorities {
                Some(authorities) => Trust::only(authorities.clone(), None),
                None => Trust::system(None)?,
            };
            Ok(Server::Tcp { url, trust: Some(trust) })
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{resolve::resolve, source::Sources};

    fn read(text: &str) -> Result<store::Config, String> {
        let sources =
            Sources { file: Some((PathBuf::from("s.toml"), text.to_owned())), ..Sources::default() };
        let resolved = resolve(&sources, Vec::new()).map_err(|mistakes| mistakes.to_string())?;
        Ok(resolved.config.sidecar.shared.expect("a url is set"))
    }

    #[test]
    fn url_of_a_store_has_a_host_and_a_port_or_a_path() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://store.lan", "redis://store.lan:6379"),
            ("redis://store:80", "redis://store:80"),
            ("redis://[::1]:7000/", "redis://[::1]:7000"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ] {
            assert_eq!(server(text).unwrap().to_string(), shown, "{text}");
        }
        for (bad, said) in [
            ("127.0.0.1:6379", "the URL has no scheme"),
            ("http://a:1", "the scheme of the URL is none of redis, rediss and unix"),
            ("redis://", "the URL is invalid: empty host"),
            ("redis://a:0", "the URL has port 0"),
            ("redis://a/1", "the URL has more than a host and a port"),
            ("unix://run/redis.sock", "the URL has no absolute path"),
            ("redis://me:hunter2@a", "the URL has a user name or a password"),
        ] {
            let problem = server(bad).unwrap_err();
            assert_eq!(problem.what, said, "{bad}");
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }

    #[test]
    fn settings_of_a_store_are_put_together() {
        let read = read(
            "[shared]\nurl = [\"redis://a\", \"redis://b:1\"]\ndatabase = 3\nprefix = \"team\"\ndeadline = \"5ms\"\non_failure = \"closed\"\n",
        );
        let config = read.unwrap();
        let servers: Vec<_> = config.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["redis://a:6379", "redis://b:1"]);
        assert_eq!(
            (config.database, config.prefix.as_str(), config.on_failure),
            (3, "team", OnFailure::Closed)
        );
        assert_eq!(config.deadline, Duration::from_millis(5));
    }

    #[test]
    fn settings_of_a_store_that_have_no_effect_are_mistakes() {
        for (text, said) in [
            ("username = \"me\"", "`shared.username`: the key has no effect without `shared.url`"),
            ("url = \"redis://a\"\nusername = \"me\"", "`shared.username`: the user has no password"),
            ("url = \"redis://a\"\non_failure = \"opn\"", "\"opn\" is not one of local, open, closed"),
            ("url = \"redis://a\"\nprefix = \"{a}\"", "\"{a}\" is not a valid prefix"),
        ] {
            let mistakes = read(&format!("[shared]\n{text}\n")).unwrap_err();
            assert!(mistakes.contains(said), "{mistakes}");
        }
    }
}
