//! Wall-clock time in Ollama's format: RFC 3339 with nanoseconds and without trailing zeros.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};

/// Writes the present time. It keeps the text of the second for the next record.
#[derive(Debug)]
pub(super) struct Stamp {
    second: u64,
    text: [u8; 20],
}

impl Stamp {
    pub(super) fn new() -> Self {
        Self { second: u64::MAX, text: [0; 20] }
    }

    /// Appends the present time, as in `2026-11-25T12:00:00.123456789Z`.
    pub(super) fn write_now(&mut self, out: &mut BytesMut) {
        self.write(unix_now(), out);
    }

    fn write(&mut self, since_epoch: Duration, out: &mut BytesMut) {
        if since_epoch.as_secs() != self.second {
            self.second = since_epoch.as_secs();
            self.text = second(self.second);
        }
        out.put_slice(&self.text[..19]);
        let mut nanos = since_epoch.subsec_nanos();
        if nanos != 0 {
            let mut digits = *b".000000000";
            for digit in digits[1..].iter_mut().rev() {
                *digit = b'0' + (nanos % 10) as u8;
                nanos /= 10;
            }
            let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
            out.put_slice(&digits[..digits.len() - zeros]);
        }
        out.put_u8(b'Z');
    }
}

/// Formats a time.
pub(super) fn rfc3339(since_epoch: Duration) -> String {
    let mut out = BytesMut::with_capacity(32);
    Stamp::new().write(since_epoch, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Returns the time since the Unix epoch.
pub(super) fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Formats a second as `YYYY-MM-DDThh:mm:ss`, followed by a byte of padding. The conversion of days to a date follows
/// Howard Hinnant's `civil_from_days`, and is valid for the years 1970 to 9999.
fn second(unix: u64) -> [u8; 20] {
    let (days, rest) = (unix / 86_400, unix % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);

    let mut text = *b"0000-00-00T00:00:00 ";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, rest / 3600),
        (14, 2, rest / 60 % 60),
        (17, 2, rest % 60),
    ];
    for (start, width, mut value) in fields {
        for digit in text[start..start + width].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Duration, rfc3339};

    #[test]
    fn timestamp_is_written_as_go_writes_it() {
        assert_eq!(rfc3339(Duration::new(0, 0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Duration::new(1_795_608_000, 123_456_789)), "2026-11-25T12:00:00.123456789Z");
        assert_eq!(rfc3339(Duration::new(1_709_208_000, 500_000_000)), "2024-02-29T12:00:00.5Z");
        assert_eq!(rfc3339(Duration::new(1_735_689_599, 1)), "2024-12-31T23:59:59.000000001Z");
    }
}
