//! The options of a request that determine how Ollama loads its model.

use std::time::Duration;

use super::super::json::{Broken, Cursor};

/// The options of a request that determine how its model is loaded, and for how long. Ollama loads a model again if a
/// request needs another value than the one with which the model is in memory. `None`: the request leaves it to
/// Ollama.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// `options.num_ctx`: the tokens of the context.
    pub num_ctx: Option<u64>,
    /// Whole numbers by the position of their name in [`LoadOptions::OTHERS`].
    others: [Option<i64>; LoadOptions::OTHERS.len()],
    /// `keep_alive`.
    pub keep_alive: Option<KeepAlive>,
}

/// How long Ollama keeps a model in memory after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// For this time. Zero unloads the model at once.
    For(Duration),
    /// Until something else removes it.
    Forever,
}

impl LoadOptions {
    /// The options beside `num_ctx` whose change loads the model again.
    pub const OTHERS: [&str; 5] = ["num_gpu", "main_gpu", "num_batch", "num_thread", "use_mmap"];

    /// Returns the first option besides `num_ctx` in which two requests differ, with both values.
    #[must_use]
    pub fn difference(&self, other: &LoadOptions) -> Option<(&'static str, Option<i64>, Option<i64>)> {
        let pairs = self.others.iter().zip(&other.others).zip(LoadOptions::OTHERS);
        pairs.map(|((one, other), name)| (name, *one, *other)).find(|(_, one, other)| one != other)
    }

    /// Reads the object `options` at the beginning of `text`.
    pub(super) fn read(text: &[u8], keep_alive: Option<KeepAlive>) -> LoadOptions {
        let none = LoadOptions { keep_alive, ..LoadOptions::default() };
        let mut options = none;
        let read = Cursor::new(text).object(|value, key| {
            let place = LoadOptions::OTHERS.iter().position(|name| name.as_bytes() == key);
            match (key, place) {
                (b"num_ctx", _) => options.num_ctx = value.count()?,
                (_, Some(place)) => options.others[place] = whole(value)?,
                _ => value.skip()?,
            }
            Ok(())
        });
        // Ollama refuses a body whose options are broken, or they are longer than the part that was kept.
        if read.is_ok() { options } else { none }
    }
}

/// Reads a whole number, or `true` and `false` as 1 and 0.
fn whole(value: &mut Cursor<'_>) -> Result<Option<i64>, Broken> {
    Ok(match value.raw()? {
        b"true" => Some(1),
        b"false" => Some(0),
        number => std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()),
    })
}

impl KeepAlive {
    /// Reads a value as Ollama does: a number of seconds, or a duration of Go, such as `5m` or `1h30m`. A negative
    /// value means forever.
    pub(super) fn read(text: &str) -> Option<KeepAlive> {
        if text.is_empty() {
            return None;
        }
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let seconds = match text.parse::<f64>() {
            Ok(seconds) => seconds,
            Err(_) => seconds_of(text)?,
        };
        let duration = Duration::try_from_secs_f64(seconds).ok()?;
        Some(if is_negative && !duration.is_zero() { KeepAlive::Forever } else { KeepAlive::For(duration) })
    }
}

/// Reads a duration of Go.
fn seconds_of(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    while !text.is_empty() {
        let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, rest) = text.split_at(unit_at);
        let unit_ends = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(unit_ends);
        let factor = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        text = rest;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::{super::Peek, *};

    fn of(body: &str) -> LoadOptions {
        Peek::read(body.as_bytes()).load
    }

    #[test]
    fn load_options_are_read_wherever_they_are() {
        for body in [
            r#"{"model":"a","options":{"num_ctx":8192,"num_gpu":-1,"stop":["}"],"use_mmap":false},"prompt":"x"}"#,
            r#"{"options" : {"stop":["\"{"],"use_mmap":false,"num_gpu":-1,"seed":1,"num_ctx":8192}}"#,
            r#"{"options":{"num_ctx":1},"options":{"num_ctx":8192,"num_gpu":-1,"use_mmap":false}}"#,
        ] {
            let options = of(body);
            assert_eq!(options.num_ctx, Some(8_192), "{body}");
            assert_eq!(options.others, [Some(-1), None, None, None, Some(0)], "{body}");
        }
        for body in [
            r#"{"model":"a"}"#,
            r#"{"options":null}"#,
            r#"{"options":[{"num_ctx":1}]}"#,
            r#"{"messages":[{"options":{"num_ctx":1}}]}"#,
            r#"{"options":{"num_ctx":1,"stop":"#,
        ] {
            assert_eq!(of(body), LoadOptions::default(), "{body}");
        }
        let long = format!(r#"{{"options":{{"stop":["{}"],"num_ctx":1}}}}"#, "x".repeat(10_000));
        assert_eq!(of(&long).num_ctx, None, "only a beginning is kept");
    }

    #[test]
    fn load_options_in_pieces_are_the_same() {
        let body = br#"{"options":{"num_ctx":4096,"main_gpu":1},"keep_alive":"1h30m"}"#;
        let mut reader = super::super::PeekReader::default();
        for byte in body {
            reader.read(&[*byte]);
        }
        assert_eq!(reader.peek().load, of(std::str::from_utf8(body).unwrap()));
        assert_eq!(reader.peek().load.keep_alive, Some(KeepAlive::For(Duration::from_secs(5_400))));
    }

    #[test]
    fn keep_alive_is_read_as_ollama_does() {
        let read = |value: &str| of(&format!(r#"{{"keep_alive":{value},"model":"a"}}"#)).keep_alive;
        let seconds = |seconds| Some(KeepAlive::For(Duration::from_secs_f64(seconds)));
        for (value, expected) in [
            ("0", seconds(0.0)),
            ("300", seconds(300.0)),
            ("0.5", seconds(0.5)),
            (r#""5m""#, seconds(300.0)),
            (r#""1h30m""#, seconds(5_400.0)),
            (r#""150ms""#, seconds(0.15)),
            (r#""0""#, seconds(0.0)),
            ("-1", Some(KeepAlive::Forever)),
            (r#""-1m""#, Some(KeepAlive::Forever)),
            (r#""soon""#, None),
            (r#""""#, None),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn load_options_differ_in_their_first_option() {
        let (one, other) = (of(r#"{"options":{"num_thread":2}}"#), of(r#"{"options":{"num_thread":4}}"#));
        assert_eq!(one.difference(&other), Some(("num_thread", Some(2), Some(4))));
        assert_eq!(one.difference(&one), None);
    }
}
