//! The kinds of settings: how each is parsed, checked and shown.

use std::{
    net::{IpAddr, SocketAddr},
    num::IntErrorKind::{NegOverflow, PosOverflow},
    ops::RangeInclusive,
    time::Duration,
};

use toml::de::DeValue;

use super::{
    Config,
    mistake::{Problem, Problems},
    quantity::{self, within},
    suggest,
};

/// The source of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    /// A text of the environment or a flag.
    Text(&'a str),
    /// A typed value of the file.
    Toml(&'a DeValue<'a>),
}

/// Returns the field of the configuration that a setting sets.
pub(super) type At<T> = fn(&mut Config) -> &mut T;

/// The kind of a setting, and the field that it sets.
#[derive(Debug)]
pub(super) enum Field {
    /// `IP:PORT`.
    Address(At<SocketAddr>),
    /// A whole number.
    Count(At<usize>, RangeInclusive<usize>),
    /// Bytes.
    Size(At<usize>, RangeInclusive<usize>),
    /// A time span.
    Duration(At<Duration>, RangeInclusive<Duration>),
    /// A time span, or `off`.
    Interval(At<Option<Duration>>, RangeInclusive<Duration>),
    /// One of several words.
    Choice {
        options: fn() -> Vec<&'static str>,
        get: fn(&Config) -> &'static str,
        set: fn(&mut Config, &str),
    },
    /// A name. The key may be left out.
    Name(At<Option<String>>),
    /// `true` or `false`.
    Truth(At<bool>),
    /// A value with its own functions for reading and showing it.
    Other {
        kind: &'static str,
        show: fn(&Config) -> Option<String>,
        set: fn(&mut Config, Given<'_>) -> Result<(), Problems>,
    },
}

impl Field {
    /// Parses a value and stores it. A wrong value changes nothing.
    pub(super) fn set(&self, config: &mut Config, given: Given<'_>) -> Result<(), Problems> {
        match self {
            Field::Address(at) => *at(config) = address(given.text("\"127.0.0.1:11440\"")?)?,
            Field::Count(at, range) => *at(config) = given.count(range)?,
            Field::Size(at, range) => {
                *at(config) = quantity::size_within(&given.quantity("\"64KiB\"")?, range)?;
            }
            Field::Duration(at, range) => {
                let usual = *at(&mut Config::default());
                *at(config) = quantity::duration_within(&given.quantity("\"10s\"")?, range, usual)?;
            }
            Field::Interval(at, range) => {
                *at(config) = match given.quantity("\"1s\"")?.as_str() {
                    "off" => None,
                    text => {
                        let usual = at(&mut Config::default()).unwrap_or_default();
                        Some(quantity::duration_within(text, range, usual)?)
                    }
                };
            }
            Field::Choice { options, set, .. } => {
                let options = options();
                let text = given.text(&format!("{:?}", options[0]))?;
                if !options.contains(&text) {
                    return Err(Problem::new(
                        format!("{text:?} is not one of {}", options.join(", ")),
                        suggest::among(text, options.iter().copied()).map_or_else(
                            || format!("choose one of them, as in {:?}", options[0]),
                            suggest::did_you_mean,
                        ),
                    )
                    .into());
                }
                set(config, text);
            }
            Field::Name(at) => match given.text("\"gpu0\"")? {
                "" => return Err(Problem::new("the name is empty", "write a name, or remove the key").into()),
                text => *at(config) = Some(text.to_owned()),
            },
            Field::Truth(at) => *at(config) = given.truth()?,
            Field::Other { set, .. } => set(config, given)?,
        }
        Ok(())
    }

    /// The value as TOML; `None` if it is unset.
    pub(super) fn show(&self, config: &Config) -> Option<String> {
        // The accessor returns a mutable reference, so this works on a copy. Only `check` calls it.
        let config = &mut config.clone();
        Some(match self {
            Field::Address(at) => format!("\"{}\"", at(config)),
            Field::Count(at, _) => at(config).to_string(),
            Field::Size(at, _) => format!("\"{}\"", quantity::show_size(*at(config))),
            Field::Duration(at, _) => format!("\"{}\"", quantity::show_duration(*at(config))),
            Field::Interval(at, _) => {
                format!("\"{}\"", at(config).map_or_else(|| "off".to_owned(), quantity::show_duration))
            }
            Field::Choice { get, .. } => format!("\"{}\"", get(config)),
            Field::Name(at) => toml::Value::from(at(config).clone()?).to_string(),
            Field::Truth(at) => at(config).to_string(),
            Field::Other { show, .. } => show(config)?,
        })
    }

    /// The kind and the range, for the documentation.
    pub(super) fn kind(&self) -> String {
        match self {
            Field::Address(_) => "IP:PORT".to_owned(),
            Field::Count(_, range) => format!("{} to {}", range.start(), range.end()),
            Field::Size(_, range) => {
                format!(
                    "size, {} to {}",
                    quantity::show_size(*range.start()),
                    quantity::show_size(*range.end())
                )
            }
            Field::Duration(_, range) => format!("duration, {}", span(range)),
            Field::Interval(_, range) => format!("off, or duration, {}", span(range)),
            Field::Choice { options, .. } => options().join(", "),
            Field::Name(_) => "name".to_owned(),
            Field::Truth(_) => "true, false".to_owned(),
            Field::Other { kind, .. } => (*kind).to_owned(),
        }
    }
}

fn span(range: &RangeInclusive<Duration>) -> String {
    format!("{} to {}", quantity::show_duration(*range.start()), quantity::show_duration(*range.end()))
}

impl<'a> Given<'a> {
    /// A string. `example` is a TOML value for the advice.
    pub(super) fn text(self, example: &str) -> Result<&'a str, Problem> {
        match self {
            Given::Text(text) => Ok(text),
            Given::Toml(DeValue::String(text)) => Ok(text),
            Given::Toml(other) => Err(wrong_type(other, "a string", example)),
        }
    }

    /// A string with a unit. A bare number is returned as its digits, so that the later check can say which unit to
    /// add.
    pub(super) fn quantity(self, example: &str) -> Result<String, Problem> {
        match self {
            Given::Toml(DeValue::Integer(number)) => Ok(number.to_string()),
            _ => self.text(example).map(str::to_owned),
        }
    }

    fn truth(self) -> Result<bool, Problem> {
        match self {
            Given::Toml(DeValue::Boolean(truth)) => Ok(*truth),
            Given::Text("true") => Ok(true),
            Given::Text("false") => Ok(false),
            Given::Text(text) => {
                Err(Problem::new(format!("{text:?} is not true or false"), "write true or false"))
            }
            Given::Toml(DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
                let advice = format!("write it without quotes: {text}");
                Err(Problem::new("expected true or false, not a string", advice))
            }
            Given::Toml(other) => Err(wrong_type(other, "true or false", "true")),
        }
    }

    /// A number of a range, with or without a fraction.
    pub(super) fn real(self, example: &str, range: &RangeInclusive<f64>) -> Result<f64, Problem> {
        let text = match self {
            Given::Text(text) => text,
            Given::Toml(DeValue::Float(number)) => number.as_str(),
            Given::Toml(DeValue::Integer(number)) if number.radix() == 10 => number.as_str(),
            Given::Toml(other) => return Err(wrong_type(other, "a number", example)),
        };
        match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => within(number, range, f64::to_string),
            _ => {
                let advice = format!("write a number from {} to {}", range.start(), range.end());
                Err(Problem::new(format!("{text:?} is not a number"), advice))
            }
        }
    }

    /// A whole number of a range.
    pub(super) fn count(self, range: &RangeInclusive<usize>) -> Result<usize, Problem> {
        let (start, end) = (range.start(), range.end());
        let (digits, radix) = match self {
            Given::Text(text) => (text, 10),
            Given::Toml(DeValue::Integer(number)) => (number.as_str(), number.radix()),
            Given::Toml(DeValue::String(text)) if text.parse::<usize>().is_ok() => {
                let advice = format!("write it without quotes: {text}");
                return Err(Problem::new("expected a whole number, not a string", advice));
            }
            Given::Toml(other) => return Err(wrong_type(other, "a whole number", &start.to_string())),
        };
        let advice = format!("write a whole number from {start} to {end}");
        let outside = |number: &str| Problem::new(format!("{number} is out of range"), &*advice);
        match i128::from_str_radix(digits, radix) {
            Ok(number) => {
                let fitting = usize::try_from(number).ok().filter(|number| range.contains(number));
                fitting.ok_or_else(|| outside(&number.to_string()))
            }
            Err(error) if matches!(error.kind(), PosOverflow | NegOverflow) => Err(outside(digits)),
            Err(_) => Err(Problem::new(format!("{digits:?} is not a whole number"), advice)),
        }
    }
}

/// Parses `IP:PORT`. Names are not resolved, so that the bound address is the written one.
pub(super) fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| {
        let ip = text.parse::<IpAddr>();
        let (name, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
        let advice = match (name, port.parse::<u16>(), ip) {
            (_, _, Ok(ip)) => format!("add a port, as in \"{}\"", SocketAddr::new(ip, 11440)),
            ("localhost", Ok(port), _) => format!("write \"127.0.0.1:{port}\""),
            ("" | "*", Ok(port), _) => format!("write \"0.0.0.0:{port}\" for every interface"),
            (_, Ok(port), _) => {
                format!(
                    "write an IP address and the port, as in \"127.0.0.1:{port}\": names are not resolved"
                )
            }
            _ => "write IP:PORT, as in \"127.0.0.1:11440\"".to_owned(),
        };
        Problem::new(format!("{text:?} is not an address"), advice)
    })
}

pub(super) fn wrong_type(value: &DeValue<'_>, wanted: &str, example: &str) -> Problem {
    Problem::new(
        format!("expected {wanted}, not {} {}", article(value.type_str()), value.type_str()),
        format!("write {wanted}, as in {example}"),
    )
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
