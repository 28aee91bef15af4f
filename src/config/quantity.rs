//! Quantities that carry their unit: durations (`10s`), sizes (`64KiB`) and quotas (`60/min`).

use std::{num::NonZeroU32, time::Duration};

use super::mistake::Problem;
use crate::admission::Quota;

const SIZES: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

/// Reads `250ms`, `10s`, `1m 30s`, `2h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Problem> {
    if is_number(text) {
        return Err(Problem::new(format!("{text} lacks a unit"), format!("write \"{text}s\" for seconds")));
    }
    humantime::parse_duration(text).map_err(|_| {
        Problem::new(format!("{text:?} is not a duration"), "write a number and ms, s, m or h, as in \"10s\"")
    })
}

/// Writes what [`parse_duration`] reads, in one unit; minutes stay seconds.
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

/// Reads `512B`, `64KiB`, `1MiB`, `2GiB`.
pub(super) fn parse_size(text: &str) -> Result<usize, Problem> {
    if is_number(text) {
        let advice = format!("write \"{text}B\" for bytes, or use KiB, MiB or GiB");
        return Err(Problem::new(format!("{text} lacks a unit"), advice));
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text[digits.len()..].trim_start();
    let shift = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, shift)| *shift);
    let size = shift.and_then(|shift| digits.parse::<usize>().ok()?.checked_mul(1 << shift));
    size.ok_or_else(|| {
        // 64KB, 64k and 64kib all want to say this one.
        let prefix = unit.chars().next().map(|c| c.to_ascii_uppercase()).filter(|c| "KMG".contains(*c));
        let advice = match prefix {
            Some(prefix) if is_number(digits) && shift.is_none() => format!("write \"{digits}{prefix}iB\""),
            _ => "write a whole number and B, KiB, MiB or GiB, as in \"64KiB\"".to_owned(),
        };
        Problem::new(format!("{text:?} is not a size"), advice)
    })
}

/// Writes what [`parse_size`] reads, in the largest unit that divides it.
pub(super) fn show_size(size: usize) -> String {
    let fits = |&&(_, shift): &&(&str, u32)| size > 0 && size.is_multiple_of(1 << shift);
    let (unit, shift) = SIZES.iter().find(fits).unwrap_or(&("B", 0));
    format!("{}{unit}", size >> shift)
}

const PERIODS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86400)];

/// Reads `10/s`, `60/min`, `1000/h`, `5000/day`.
pub(super) fn parse_quota(text: &str) -> Result<Quota, Problem> {
    const ADVICE: &str = "write a whole number and /s, /min, /h or /day, as in \"60/min\"";
    let parts = text.split_once('/').map(|(count, unit)| (count.trim(), unit.trim()));
    let Some((count, unit)) = parts.filter(|(count, _)| is_number(count)) else {
        let what = format!("{text:?} is not a rate");
        let advice = if is_number(text) {
            format!("write \"{text}/min\" for as many a minute")
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
        let advice = "write 1 to 4294967295; to let nobody in, take the key away or close the routes";
        Problem::new(format!("{count} is out of range"), advice)
    })?;
    Ok(Quota::new(count, Duration::from_secs(*seconds)))
}

/// Writes what [`parse_quota`] reads.
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
    fn durations_read_what_they_write() {
        for text in ["0s", "1ns", "1500us", "250ms", "10s", "60s", "90s", "1h", "24h"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1m 30s").unwrap(), Duration::from_secs(90));
    }

    #[test]
    fn sizes_read_what_they_write() {
        for text in ["0B", "1000B", "1KiB", "64KiB", "1MiB", "3GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size("64 KiB").unwrap(), 65536);
    }

    #[test]
    fn a_bare_number_is_told_its_unit() {
        assert_eq!(parse_duration("10").unwrap_err().advice, "write \"10s\" for seconds");
        assert_eq!(parse_duration("0").unwrap_err().advice, "write \"0s\" for seconds");
        assert!(parse_size("10").unwrap_err().advice.starts_with("write \"10B\""));
    }

    #[test]
    fn decimal_units_are_told_the_binary_one() {
        for text in ["64KB", "64kb", "64k"] {
            assert_eq!(parse_size(text).unwrap_err().advice, "write \"64KiB\"", "{text}");
        }
    }

    #[test]
    fn quotas_read_what_they_write() {
        for text in ["1/s", "60/min", "1000/h", "4294967295/day"] {
            assert_eq!(show_quota(&parse_quota(text).unwrap()), text);
        }
        assert_eq!(parse_quota("60 / min").unwrap(), parse_quota("60/min").unwrap());
    }

    #[test]
    fn a_rate_of_nothing_and_a_misspelt_period_are_told_what_to_write() {
        for (text, advice) in [
            ("60", "write \"60/min\" for as many a minute"),
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
    fn nonsense_is_refused() {
        for text in ["", "s", "KiB", "-1s", "-1KiB", "1.5MiB", "ten", "99999999999999GiB", "5é"] {
            assert!(parse_duration(text).is_err(), "{text}");
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
