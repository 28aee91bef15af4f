//! Parses RFC 3339 times, as Go prints them.

const SECOND: i64 = 1_000_000_000;

/// Returns the nanoseconds since the Unix epoch. `None`: the text is not a time, or does not fit (years 1678 to
/// 2262). Any offset is accepted. Digits after the ninth of a fraction are ignored.
#[must_use]
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *day else { return None };
    let [b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] = *clock else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    // 60 is a leap second. As in Go, it becomes the next minute.
    if day < 1 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    seconds.checked_mul(SECOND)?.checked_add(fraction)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Reads the nanoseconds of a `.123`, if there is one, and returns the rest.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let (digits, zone) = digits.split_at(length);
    let digits = &digits[..length.min(9)];
    let read = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let nanos = read * 10_i64.pow(9 - digits.len() as u32);
    Some((nanos, zone))
}

/// Reads the offset in seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, two(h1, h2)?, two(m1, m2)?),
        [b'-', h1, h2, b':', m1, m2] => (-1, two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(if leap { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Returns the days since 1970-01-01 in the Gregorian calendar, for years from 0 on. The year begins in March, so
/// that the leap day is its last day (Hinnant, "chrono-compatible low-level date algorithms").
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_timestamp;

    #[test]
    fn timestamp_with_offset_and_fraction_is_read() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.000000001Z", Some(1)),
            ("1969-12-31T23:59:59.5Z", Some(-500_000_000)),
            ("2000-02-29T12:00:00Z", Some(951_825_600_000_000_000)),
            ("2025-11-24T09:15:30.123456789Z", Some(1_763_975_730_123_456_789)),
            ("2025-11-24T01:15:30.123456789-08:00", Some(1_763_975_730_123_456_789)),
            ("2025-11-24T14:45:30.1234567890001+05:30", Some(1_763_975_730_123_456_789)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000_000)),
            ("2100-02-29T00:00:00Z", None),
            ("2025-13-01T00:00:00Z", None),
            ("2025-04-31T00:00:00Z", None),
            ("2025-04-30T24:00:00Z", None),
            ("2025-04-30T00:00:00", None),
            ("2025-04-30T00:00:00.Z", None),
            ("2025-04-30T00:00:00Zx", None),
            ("2025-04-30T00:00:00+24:00", None),
            ("9999-12-31T23:59:59Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
            ("2025-04", None),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), nanos, "{text}");
        }
    }
}
