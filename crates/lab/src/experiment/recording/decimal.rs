//! Times as decimals with whole nanoseconds, so that a value is read back as it was written. This holds for up to 13
//! days, where a float can still represent each nanosecond.

/// A unit of time in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    pub(super) const ALL: [Unit; 4] =
        [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds, Unit::Nanoseconds];

    /// Returns the digits from this unit to a nanosecond.
    fn digits(self) -> u32 {
        match self {
            Unit::Seconds => 9,
            Unit::Milliseconds => 6,
            Unit::Microseconds => 3,
            Unit::Nanoseconds => 0,
        }
    }

    /// Returns the end of a column's name for this unit.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
            Unit::Nanoseconds => "ns",
        }
    }
}

/// Writes seconds in a unit, rounded to a nanosecond. NaN is written as an empty text.
pub(super) fn write(seconds: f64, unit: Unit, text: &mut Vec<u8>) {
    if !seconds.is_finite() {
        return;
    }
    let nanoseconds = (seconds * 1e9).round() as i64;
    if nanoseconds < 0 {
        text.push(b'-');
    }
    let (value, digits) = (nanoseconds.unsigned_abs(), unit.digits());
    let (whole, mut part) = (value / 10_u64.pow(digits), value % 10_u64.pow(digits));
    text.extend_from_slice(itoa(whole, &mut [0; 20]));
    if part == 0 {
        return;
    }
    let mut places = digits as usize;
    while part % 10 == 0 {
        part /= 10;
        places -= 1;
    }
    text.push(b'.');
    let mut buffer = [0; 20];
    let digits = itoa(part, &mut buffer);
    text.extend(std::iter::repeat_n(b'0', places - digits.len()));
    text.extend_from_slice(digits);
}

/// Formats an integer without an allocation, because every chunk has such a column.
pub(super) fn itoa(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[at..];
        }
    }
}

/// Reads seconds from a decimal in a unit, rounded to a nanosecond. `None`: the text is not a number.
pub(super) fn read(text: &[u8], unit: Unit) -> Option<f64> {
    // The recorder writes no exponent and a limited number of digits. Other texts need the general parser.
    exact(text, unit).or_else(|| {
        let value: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
        let nanoseconds = value * 10_f64.powi(unit.digits() as i32);
        nanoseconds.is_finite().then(|| nanoseconds.round() / 1e9)
    })
}

fn exact(text: &[u8], unit: Unit) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut value, mut places, mut point) = (0_i64, 0, false);
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    for digit in digits {
        match digit {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(digit - b'0');
                places += u32::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    let nanoseconds = value.checked_mul(10_i64.checked_pow(unit.digits().checked_sub(places)?)?)?;
    let seconds = nanoseconds as f64 / 1e9;
    Some(if negative { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(seconds: f64, unit: Unit) -> String {
        let mut text = Vec::new();
        write(seconds, unit, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn time_is_written_as_short_decimal_in_its_unit() {
        assert_eq!(written(0.024_08, Unit::Milliseconds), "24.08");
        assert_eq!(written(0.000_000_023, Unit::Milliseconds), "0.000023");
        assert_eq!(written(-1.5, Unit::Seconds), "-1.5");
        assert_eq!(written(10.0, Unit::Seconds), "10");
        assert_eq!(written(1.25e-6, Unit::Nanoseconds), "1250");
        assert_eq!(written(f64::NAN, Unit::Seconds), "");
    }

    #[test]
    fn decimals_of_other_programs_are_read_to_the_nanosecond() {
        assert_eq!(read(b"23.300000000000001", Unit::Milliseconds), Some(0.0233));
        assert_eq!(read(b"2.4e1", Unit::Milliseconds), Some(0.024));
        assert_eq!(read(b" 7 ", Unit::Seconds), Some(7.0));
        for wrong in [&b""[..], b"-", b"1.2.3", b"fast", b"nan", b"inf"] {
            assert_eq!(read(wrong, Unit::Seconds), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whole_nanoseconds_round_trip(nanoseconds in -(1_i64 << 50)..1 << 50, unit in 0_usize..4) {
            let (seconds, unit) = (nanoseconds as f64 / 1e9, Unit::ALL[unit]);
            prop_assert_eq!(read(written(seconds, unit).as_bytes(), unit), Some(seconds));
        }
    }
}
