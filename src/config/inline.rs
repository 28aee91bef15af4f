//! Settings that are an inline table or a list.

use http::HeaderName;
use toml::de::{DeTable, DeValue};

use super::{
    field::{Given, wrong_type},
    mistake::{Problem, Problems},
    quantity, suggest,
};
use crate::{
    admission::{Access, CallerHeader, Limits, Models, NoOrigin, NoSuchName, NoSuchRoute, Origins, Quota},
    scheduler::Priority,
    shaping::{adaptive, coalesce},
};

/// The names of a caller's limits, in `access.anonymous` and in `[[key]]`.
pub(super) const LIMITS: [&str; 7] =
    ["requests", "requests_burst", "tokens", "tokens_burst", "max_streams", "weight", "priority"];

/// The limits while they are read, since a burst may come before its rate.
#[derive(Debug, Default)]
pub(super) struct LimitsRead {
    requests: (Option<Quota>, Option<u32>),
    tokens: (Option<Quota>, Option<u32>),
    max_streams: Option<usize>,
    weight: Option<u32>,
    priority: Option<Priority>,
}

impl LimitsRead {
    /// Reads one of [`LIMITS`].
    pub(super) fn set(&mut self, leaf: &str, given: Given<'_>) -> Result<(), Problem> {
        let quota = || given.text("\"60/min\"").and_then(quantity::parse_quota);
        let burst = || Ok(u32::try_from(given.count(&(1..=u32::MAX as usize))?).unwrap_or(u32::MAX));
        match leaf {
            "requests" => self.requests.0 = Some(quota()?),
            "requests_burst" => self.requests.1 = Some(burst()?),
            "tokens" => self.tokens.0 = Some(quota()?),
            "tokens_burst" => self.tokens.1 = Some(burst()?),
            "weight" => self.weight = u32::try_from(given.count(&(1..=1000))?).ok(),
            "priority" => self.priority = Some(priority(given)?),
            _ => self.max_streams = Some(given.count(&(1..=1_000_000))?),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Limits, Problems> {
        let mut problems = Vec::new();
        let mut whole = |name: &str, (quota, burst): (Option<Quota>, Option<u32>)| match (quota, burst) {
            (None, Some(_)) => {
                let what = format!("`{name}_burst` has no effect without `{name}`");
                problems
                    .push(Problem::new(what, format!("add {name} = \"60/min\", or remove `{name}_burst`")));
                None
            }
            (Some(quota), Some(burst)) => {
                Some(Quota { burst: burst.try_into().unwrap_or(quota.burst), ..quota })
            }
            (quota, None) => quota,
        };
        let limits = Limits {
            requests: whole("requests", self.requests),
            tokens: whole("tokens", self.tokens),
            max_streams: self.max_streams,
            weight: self.weight.unwrap_or(1),
            priority: self.priority.unwrap_or_default(),
        };
        Problems::or(problems, limits)
    }
}

/// The keys that set these limits, as TOML.
pub(super) fn show_limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut shown = Vec::new();
    let quotas = [("requests", "requests_burst", limits.requests), ("tokens", "tokens_burst", limits.tokens)];
    for (rate, burst, quota) in quotas {
        let Some(quota) = quota else { continue };
        shown.push((rate, format!("\"{}\"", quantity::show_quota(&quota))));
        if quota.burst != quota.count {
            shown.push((burst, quota.burst.to_string()));
        }
    }
    if let Some(most) = limits.max_streams {
        shown.push(("max_streams", most.to_string()));
    }
    if limits.weight != 1 {
        shown.push(("weight", limits.weight.to_string()));
    }
    if limits.priority != Priority::default() {
        shown.push(("priority", format!("\"{}\"", limits.priority.label())));
    }
    shown
}

fn priority(given: Given<'_>) -> Result<Priority, Problem> {
    let text = given.text("\"normal\"")?;
    let words = Priority::ALL.map(Priority::label);
    Priority::ALL.into_iter().find(|priority| priority.label() == text).ok_or_else(|| {
        let advice = suggest::among(text, words)
            .map_or_else(|| "write one of them, as in \"low\"".to_owned(), suggest::did_you_mean);
        Problem::new(format!("{text:?} is not one of {}", words.join(", ")), advice)
    })
}

/// Reads `access.anonymous`.
pub(super) fn limits(given: Given<'_>) -> Result<Limits, Problems> {
    let mut limits = LimitsRead::default();
    table(given, "{ requests = \"10/min\" }", &LIMITS, |leaf, given| limits.set(leaf, given))?;
    limits.finish()
}

/// Header fields that carry secrets, which must not become labels.
const SECRETS: [&str; 4] = ["authorization", "proxy-authorization", "x-api-key", "cookie"];

/// Reads `access.caller_header`.
pub(super) fn caller_header(given: Given<'_>) -> Result<CallerHeader, Problems> {
    const EXAMPLE: &str = "{ name = \"X-OpenWebUI-User-Id\", keys = [\"openwebui\"] }";
    let (mut name, mut keys) = (None, Vec::new());
    table(given, EXAMPLE, &["name", "keys"], |leaf, given| {
        if leaf == "name" {
            name = Some(header_name(given.text("\"X-OpenWebUI-User-Id\"")?)?);
        } else {
            let read = words(given, "\"openwebui\"", "[\"openwebui\"]", |_| Ok(()));
            let read = read.map_err(|problems| problems.0.into_iter().next().expect("a problem"))?;
            keys = read.into_iter().map(str::to_owned).collect();
        }
        Ok(())
    })?;
    match name {
        Some(name) if !keys.is_empty() => Ok(CallerHeader { name, keys }),
        _ => {
            let what = "the table needs the `name` of a header field and the `keys` that are trusted";
            Err(Problem::new(what, format!("write both, as in {EXAMPLE}")).into())
        }
    }
}

fn header_name(text: &str) -> Result<HeaderName, Problem> {
    let advice = "write the name of a header field, as in \"X-OpenWebUI-User-Id\"";
    let name = HeaderName::try_from(text)
        .map_err(|_| Problem::new(format!("{text:?} is not the name of a header field"), advice))?;
    if SECRETS.contains(&name.as_str()) {
        let what = format!("the header field {text:?} carries a secret, which must not become a label");
        return Err(Problem::new(what, advice));
    }
    Ok(name)
}

pub(super) fn show_caller_header(header: &CallerHeader) -> String {
    let keys: Vec<_> = header.keys.iter().map(|key| toml::Value::from(key.as_str()).to_string()).collect();
    format!("{{ name = \"{}\", keys = [{}] }}", header.name, keys.join(", "))
}

/// Reads `shaping.coalesce`.
pub(super) fn coalesce(given: Given<'_>) -> Result<coalesce::Config, Problems> {
    let mut config = coalesce::Config::default();
    table(given, "{ delay = \"50ms\", bytes = \"1KiB\" }", &["delay", "bytes"], |leaf, given| {
        match leaf {
            "delay" => {
                let range = std::time::Duration::from_millis(1)..=std::time::Duration::from_secs(10);
                let usual = coalesce::Config::default().delay;
                config.delay = quantity::duration_within(&given.quantity("\"50ms\"")?, &range, usual)?;
            }
            _ => {
                config.bytes = quantity::size_within(&given.quantity("\"1KiB\"")?, &(1..=1 << 20))?;
            }
        }
        Ok(())
    })?;
    Ok(config)
}

pub(super) fn show_coalesce(config: &coalesce::Config) -> String {
    let (delay, bytes) = (quantity::show_duration(config.delay), quantity::show_size(config.bytes));
    format!("{{ delay = \"{delay}\", bytes = \"{bytes}\" }}")
}

/// Reads `shaping.adaptive`.
pub(super) fn adaptive(given: Given<'_>) -> Result<adaptive::Config, Problems> {
    const EXAMPLE: &str = "{ input = \"true\", target = 0.9, floor = 10, ceiling = 120, window = \"30s\" }";
    let mut config = adaptive::Config::default();
    let real = |given: Given<'_>, range: std::ops::RangeInclusive<f64>| given.real("0.9", &range);
    table(given, EXAMPLE, &["input", "target", "floor", "ceiling", "window"], |leaf, given| {
        match leaf {
            "input" => {
                config.input = match given.text("\"true\"")? {
                    "true" => adaptive::Input::True,
                    "overlap" => adaptive::Input::Overlap,
                    other => {
                        let what = format!("{other:?} is not one of true, overlap");
                        return Err(Problem::new(what, "choose one of them, as in \"true\""));
                    }
                }
            }
            "target" => config.target = real(given, 0.01..=1.0)?,
            "floor" => config.floor = real(given, 1.0..=100_000.0)?,
            "ceiling" => config.ceiling = real(given, 1.0..=100_000.0)?,
            _ => {
                let range = std::time::Duration::from_secs(1)..=std::time::Duration::from_secs(3600);
                let usual = adaptive::Config::default().window;
                config.window = quantity::duration_within(&given.quantity("\"30s\"")?, &range, usual)?;
            }
        }
        Ok(())
    })?;
    if config.floor > config.ceiling {
        let what = format!("the floor ({}) is above the ceiling ({})", config.floor, config.ceiling);
        return Err(Problem::new(what, "lower the floor or raise the ceiling").into());
    }
    Ok(config)
}

pub(super) fn show_adaptive(config: &adaptive::Config) -> String {
    let adaptive::Config { input, target, floor, ceiling, window } = config;
    let input = match input {
        adaptive::Input::True => "true",
        adaptive::Input::Overlap => "overlap",
    };
    let window = quantity::show_duration(*window);
    format!(
        "{{ input = \"{input}\", target = {target}, floor = {floor}, ceiling = {ceiling}, window = \"{window}\" }}"
    )
}

/// The words of a list, each of them parsed by `check`. A text separates them by commas. `example` is one word as
/// TOML, and `list` is a list of words.
fn words<'a>(
    given: Given<'a>,
    example: &str,
    list: &str,
    check: impl Fn(&'a str) -> Result<(), Problem>,
) -> Result<Vec<&'a str>, Problems> {
    let checked = |word| check(word).map(|()| word);
    match given {
        Given::Text(text) => each(text.split(',').map(str::trim).filter(|word| !word.is_empty()), checked),
        Given::Toml(DeValue::Array(items)) => {
            each(items, |item| Given::Toml(item.get_ref()).text(example).and_then(checked))
        }
        Given::Toml(other) => Err(wrong_type(other, "an array", list).into()),
    }
}

/// Converts each item, or returns the problems of all items.
fn each<T, U>(
    items: impl IntoIterator<Item = T>,
    read: impl FnMut(T) -> Result<U, Problem>,
) -> Result<Vec<U>, Problems> {
    let (mut made, mut problems) = (Vec::new(), Vec::new());
    for item in items.into_iter().map(read) {
        match item {
            Ok(one) => made.push(one),
            Err(problem) => problems.push(problem),
        }
    }
    Problems::or(problems, made)
}

/// Reads a list of origins.
pub(super) fn origins(given: Given<'_>) -> Result<Origins, Problems> {
    let check = |word| Origins::of([word]).map(drop).map_err(|wrong| no_origin(&wrong));
    let words = words(given, "\"https://chat.example\"", "[\"https://chat.example\"]", check)?;
    Ok(Origins::of(words).map_err(|wrong| no_origin(&wrong))?)
}

fn no_origin(wrong: &NoOrigin) -> Problem {
    let advice = match wrong {
        NoOrigin::Stars(_) => "write at most one `*`",
        NoOrigin::Scheme(_) => "write a scheme and a host, as in \"https://chat.example\", or `*` for all",
    };
    Problem::new(wrong.to_string(), advice)
}

pub(super) fn show_origins(origins: &Origins) -> Option<String> {
    let listed = origins.listed();
    let quoted: Vec<_> = listed.iter().map(|origin| toml::Value::from(origin.as_str()).to_string()).collect();
    (!quoted.is_empty()).then(|| format!("[{}]", quoted.join(", ")))
}

/// Reads a list of routes and groups.
pub(super) fn routes(given: Given<'_>) -> Result<Access, Problems> {
    let check = |word| Access::of([word]).map(drop).map_err(|unknown| no_route(&unknown));
    let words = words(given, "\"chat\"", "[\"chat\", \"tags\"]", check)?;
    Ok(Access::of(words).map_err(|unknown| no_route(&unknown))?)
}

fn no_route(unknown: &NoSuchRoute) -> Problem {
    let likely = suggest::among(&unknown.0, Access::words());
    let advice = likely.map_or_else(
        || format!("choose one of {}", Access::words().collect::<Vec<_>>().join(", ")),
        suggest::did_you_mean,
    );
    Problem::new(unknown.to_string(), advice)
}

/// Reads a list of models.
pub(super) fn models(given: Given<'_>) -> Result<Models, Problems> {
    let check = |word| Models::of([word]).map(drop).map_err(|wrong| no_model(&wrong));
    let words = words(given, "\"qwen3:*\"", "[\"llama3.2\", \"qwen3:*\"]", check)?;
    Ok(Models::of(words).map_err(|wrong| no_model(&wrong))?)
}

fn no_model(wrong: &NoSuchName) -> Problem {
    let advice = "write a name of `ollama list`, with `*` for any text, as in \"qwen3:*\"";
    Problem::new(wrong.to_string(), advice)
}

pub(super) fn show_models(models: &Models) -> String {
    let quoted = models.listed().iter().map(|name| toml::Value::from(name.as_str()).to_string());
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

pub(super) fn show_routes(access: &Access) -> Option<String> {
    let labels = access.labels()?;
    let quoted: Vec<_> = labels.iter().map(|label| format!("\"{label}\"")).collect();
    Some(format!("[{}]", quoted.join(", ")))
}

/// Calls `visit` for each key of a table, which the environment gives as TOML text. One wrong key does not stop the
/// others.
pub(super) fn table(
    given: Given<'_>,
    example: &str,
    known: &[&'static str],
    mut visit: impl FnMut(&str, Given<'_>) -> Result<(), Problem>,
) -> Result<(), Problems> {
    let mut visit_all = |table: &DeTable<'_>| {
        let visited = each(table, |(leaf, value)| {
            let leaf = leaf.get_ref().as_ref();
            if !known.contains(&leaf) {
                let advice = suggest::among(leaf, known.iter().copied())
                    .map_or_else(|| format!("choose one of {}", known.join(", ")), suggest::did_you_mean);
                return Err(Problem::new(format!("unknown key `{leaf}`"), advice));
            }
            visit(leaf, Given::Toml(value.get_ref()))
                .map_err(|problem| Problem { what: format!("`{leaf}`: {}", problem.what), ..problem })
        });
        visited.map(drop)
    };
    match given {
        Given::Toml(DeValue::Table(table)) => visit_all(table),
        Given::Toml(other) => Err(wrong_type(other, "a table", example).into()),
        Given::Text(text) => match DeValue::parse(text).as_ref().map(toml::Spanned::get_ref) {
            Ok(DeValue::Table(table)) => visit_all(table),
            _ => {
                let what = format!("{text:?} is not a table");
                Err(Problem::new(what, format!("write one, as in {example}")).into())
            }
        },
    }
}
