//! Quantities with a unit: durations (`10s`), sizes (`64KiB`) and quotas (`60/min`).

use std::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

use super::mistake::Problem;
use crate::admission::Quota;

const SIZES: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

const SPANS: [(&str, &str); 4] = [("ms", "milliseconds"), ("s", "seconds"), ("m", "minutes"), ("h", "hours")];

/// Parses a duration of a range. For a number without a unit, the advice names the unit of `usual`, or else the
/// first unit that fits the range.
pub(super) fn duration_within(
    text: &str,
    range: &RangeInclusive<Duration>,
    usual: Duration,
) -> Result<Duration, Problem> {
    let show = |span: &Duration| show_duration(*span);
    if is_number(text) {
        let usual = show_duration(usual);
        let usual = usual.trim_start_matches(|c: char| c.is_ascii_digit());
        let fits = |(unit, _): &&(&str, &str)| {
            humantime::parse_duration(&format!("{text}{unit}")).is_ok_and(|span| range.contains(&span))
        };
        let first = SPANS.iter().filter(|(unit, _)| *unit == usual).chain(&SPANS).find(fits);
        let advice = first.map_or_else(
            || outside(range, show).advice,
            |(unit, name)| format!("write \"{text}{unit}\" for {name}"),
        );
        return Err(Problem::new(format!("{text} has no unit"), advice));
    }
    let positive = text.strip_prefix('-').map(str::trim_start);
    if positive.is_some_and(|text| is_number(text) || humantime::parse_duration(text).is_ok()) {
        return Err(Problem { what: format!("{text} is out of range"), ..outside(range, show) });
    }
    within(parse_duration(text)?, range, show)
}

/// Parses a size of a range. For a number without a unit, the advice names the first unit that fits the range.
pub(super) fn size_within(text: &str, range: &RangeInclusive<usize>) -> Result<usize, Problem> {
    let show = |size: &usize| show_size(*size);
    if is_number(text) {
        let size = |shift: &u32| text.parse::<usize>().ok()?.checked_mul(1 << shift);
        let first =
            SIZES.iter().rev().find(|(_, shift)| size(shift).is_some_and(|size| range.contains(&size)));
        let advice = match first {
            Some(("B", _)) => format!("write \"{text}B\" for bytes, or use KiB, MiB or GiB"),
            Some((unit, _)) => format!("write \"{text}{unit}\""),
            None => outside(range, show).advice,
        };
        return Err(Problem::new(format!("{text} has no unit"), advice));
    }
    let positive = text.strip_prefix('-').map(str::trim_start);
    if positive.is_some_and(|text| is_number(text) || parse_size(text).is_ok()) {
        return Err(Problem { what: format!("{text} is out of range"), ..outside(range, show) });
    }
    within(parse_size(text)?, range, show)
}

/// Returns a value of the range, and an error for any other.
pub(super) fn within<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    show: fn(&T) -> String,
) -> Result<T, Problem> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Problem { what: format!("{} is out of range", show(&value)), ..outside(range, show) })
}

fn outside<T>(range: &RangeInclusive<T>, show: fn(&T) -> String) -> Problem {
    let (start, end) = (show(range.start()), show(range.end()));
    Problem::new("the value is out of range", format!("write a value from {start} to {end}"))
}

/// Parses `250ms`, `10s`, `1m 30s`, `2h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Problem> {
    if is_number(text) {
        return Err(Problem::new(format!("{text} has no unit"), format!("write \"{text}s\" for seconds")));
    }
    humantime::parse_duration(text).map_err(|_| {
        Problem::new(format!("{text:?} is not a duration"), "write a number and ms, s, m or h, as in \"10s\"")
    })
}

/// Writes a duration for [`parse_duration`] in one unit. Minutes are written as seconds.
pub(super) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.subsec_nanos() {
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 => format!("{seconds}s"),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        nanos if nanos % 1_000 == 0 => format!("{}us", duration.as_micros()),
        _ => format!("{}ns", duration.as_nanos()),
    }
}

/// Parses `512B`, `64KiB`, `1MiB`, `2GiB`.
pub(super) fn parse_size(text: &str) -> Result<usize, Problem> {
    if is_number(text) {
        let advice = format!("write \"{text}B\" for bytes, or use KiB, MiB or GiB");
        return Err(Problem::new(format!("{text} has no unit"), advice));
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text[digits.len()..].trim_start();
    let shift = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, shift)| *shift);
    let size = shift.and_then(|shift| digits.parse::<usize>().ok()?.checked_mul(1 << shift));
    size.ok_or_else(|| {
        // 64KB, 64k and 64kib all mean this unit.
        let prefix = unit.chars().next().map(|c| c.to_ascii_uppercase()).filter(|c| "KMG".contains(*c));
        let advice = match prefix {
            Some(prefix) if is_number(digits) && shift.is_none() => format!("write \"{digits}{prefix}iB\""),
            _ => "write a whole number and B, KiB, MiB or GiB, as in \"64KiB\"".to_owned(),
        };
        Problem::new(format!("{text:?} is not a size"), advice)
    })
}

/// Writes a size for [`parse_size`], in the largest unit that divides it.
pub(super) fn show_size(size: usize) -> String {
    let fits = |&&(_, shift): &&(&str, u32)| size > 0 && size.is_multiple_of(1 << shift);
    let (unit, shift) = SIZES.iter().find(fits).unwrap_or(&("B", 0));
    format!("{}{unit}", size >> shift)
}

const PERIODS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86400)];

/// Parses `10/s`, `60/min`, `1000/h`, `5000/day`.
pub(super) fn parse_quota(text: &str) -> Result<Quota, Problem> {
    const ADVICE: &str = "write a whole number and /s, /min, /h or /day, as in \"60/min\"";
    let parts = text.split_once('/').map(|(count, unit)| (count.trim(), unit.trim()));
    let Some((count, unit)) = parts.filter(|(count, _)| is_number(count)) else {
        let what = format!("{text:?} is not a rate");
        let advice = if is_number(text) {
            format!("write \"{text}/min\" for {text} per minute")
        } else {
            ADVICE.to_owned()
        };
        return Err(Problem::new(what, advice));
    };
    let Some((_, seconds)) = PERIODS.iter().find(|(name, _)| *name == unit) else {
        let likely = PERIODS.iter().find(|(name, _)| unit.to_ascii_lowercase().starts_with(&name[..1]));
        let advice =
            likely.map_or_else(|| ADVICE.to_owned(), |(name, _)| format!("write \"{count}/{name}\""));
        return Err(Problem::new(format!("{text:?} is not a rate"), advice));
    };
    let count = count.parse::<u32>().ok().and_then(NonZeroU32::new).ok_or_else(|| {
        let advice = "write 1 to 4294967295; to refuse every request, remove the key or close the routes";
        Problem::new(format!("{count} is out of range"), advice)
    })?;
    Ok(Quota::new(count, Duration::from_secs(*seconds)))
}

/// Writes a quota for [`parse_quota`].
pub(super) fn show_quota(quota: &Quota) -> String {
    let period = PERIODS.iter().find(|(_, seconds)| *seconds == quota.per.as_secs());
    format!("{}/{}", quota.count, period.map_or("s", |(name, _)| name))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_round_trips_through_text() {
        for text in ["0s", "1ns", "1500us", "250ms", "10s", "60s", "90s", "1h", "24h"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1m 30s").unwrap(), Duration::from_secs(90));
    }

    #[test]
    fn size_round_trips_through_text() {
        for text in ["0B", "1000B", "1KiB", "64KiB", "1MiB", "3GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size("64 KiB").unwrap(), 65536);
    }

    #[test]
    fn number_without_unit_error_suggests_a_unit() {
        assert_eq!(parse_duration("10").unwrap_err().advice, "write \"10s\" for seconds");
        assert_eq!(parse_duration("0").unwrap_err().advice, "write \"0s\" for seconds");
        assert!(parse_size("10").unwrap_err().advice.starts_with("write \"10B\""));
    }

    #[test]
    fn number_without_unit_error_prefers_the_unit_of_the_default() {
        let millis = Duration::from_millis;
        let advice = |text: &str, range: RangeInclusive<Duration>, usual: Duration| {
            duration_within(text, &range, usual).unwrap_err().advice
        };
        let short = || millis(1)..=millis(10_000);
        assert_eq!(advice("50", short(), millis(50)), "write \"50ms\" for milliseconds");
        assert_eq!(advice("5", short(), millis(5_000)), "write \"5s\" for seconds");
        assert_eq!(advice("50", short(), millis(5_000)), "write \"50ms\" for milliseconds");
        assert_eq!(advice("20000", short(), millis(50)), "write a value from 1ms to 10s");
        assert_eq!(
            advice("2", millis(60_000)..=millis(3_600_000), millis(60_000)),
            "write \"2m\" for minutes"
        );
        let advice = |text: &str, range: RangeInclusive<usize>| size_within(text, &range).unwrap_err().advice;
        assert_eq!(advice("9000", 8192..=1 << 20), "write \"9000B\" for bytes, or use KiB, MiB or GiB");
        assert_eq!(advice("64", 8192..=1 << 20), "write \"64KiB\"");
        assert_eq!(advice("0", 8192..=1 << 20), "write a value from 8KiB to 1MiB");
    }

    #[test]
    fn negative_quantity_is_out_of_range() {
        let range = Duration::ZERO..=Duration::from_secs(10);
        for text in ["-3", "-3s", "- 3s"] {
            let problem = duration_within(text, &range, Duration::ZERO).unwrap_err();
            assert_eq!(
                problem,
                Problem::new(format!("{text} is out of range"), "write a value from 0s to 10s")
            );
        }
        for text in ["-3", "-3KiB"] {
            let problem = size_within(text, &(0..=1024)).unwrap_err();
            assert_eq!(
                problem,
                Problem::new(format!("{text} is out of range"), "write a value from 0B to 1KiB")
            );
        }
        assert_eq!(
            duration_within("-x", &range, Duration::ZERO).unwrap_err().what,
            "\"-x\" is not a duration"
        );
    }

    #[test]
    fn decimal_unit_error_suggests_the_binary_unit() {
        for text in ["64KB", "64kb", "64k"] {
            assert_eq!(parse_size(text).unwrap_err().advice, "write \"64KiB\"", "{text}");
        }
    }

    #[test]
    fn quota_round_trips_through_text() {
        for text in ["1/s", "60/min", "1000/h", "4294967295/day"] {
            assert_eq!(show_quota(&parse_quota(text).unwrap()), text);
        }
        assert_eq!(parse_quota("60 / min").unwrap(), parse_quota("60/min").unwrap());
    }

    #[test]
    fn quota_of_zero_or_with_misspelt_period_error_says_what_to_write() {
        for (text, advice) in [
            ("60", "write \"60/min\" for 60 per minute"),
            ("60/m", "write \"60/min\""),
            ("60/minute", "write \"60/min\""),
            ("60/hour", "write \"60/h\""),
            ("60/Sec", "write \"60/s\""),
            ("60/d", "write \"60/day\""),
        ] {
            assert_eq!(parse_quota(text).unwrap_err().advice, advice, "{text}");
        }
        for text in ["0/min", "4294967296/s"] {
            assert!(parse_quota(text).unwrap_err().what.ends_with("is out of range"), "{text}");
        }
        for text in ["", "/", "min", "-1/s", "1.5/s", "1/", "1/week", "many/min"] {
            assert!(parse_quota(text).is_err(), "{text}");
        }
    }

    #[test]
    fn malformed_quantity_is_refused() {
        for text in ["", "s", "KiB", "-1s", "-1KiB", "1.5MiB", "ten", "99999999999999GiB", "5é"] {
            assert!(parse_duration(text).is_err(), "{text}");
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
