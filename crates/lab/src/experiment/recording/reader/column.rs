//! Where a column is, and in which unit.

use csv::ByteRecord;

use super::super::decimal::{Unit, read};

/// A column of times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    at: usize,
    unit: Unit,
}

/// The header of a file: names in lower case, apart from their units.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(super) fn of(record: &ByteRecord) -> Header {
        let name = |field: &[u8]| {
            let name = String::from_utf8_lossy(field);
            // A spreadsheet puts a byte order mark before the first.
            name.trim_start_matches('\u{feff}').trim().to_lowercase()
        };
        Header { names: record.iter().map(name).collect() }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The column of one of these names.
    pub(super) fn any(&self, wanted: &[&str]) -> Option<usize> {
        wanted.iter().find_map(|wanted| self.names.iter().position(|name| name == wanted))
    }

    /// The column `STEM_UNIT` or `STEM [UNIT]` of one of these stems; `STEM` alone, where it has a usual unit.
    pub(super) fn time(&self, stems: &[&str], usual: Option<Unit>) -> Option<Time> {
        let find = |wanted: &str| self.names.iter().position(|name| name == wanted);
        for stem in stems {
            for unit in Unit::ALL {
                let suffix = unit.suffix();
                let at = find(&format!("{stem}_{suffix}")).or_else(|| find(&format!("{stem} [{suffix}]")));
                if let Some(at) = at {
                    return Some(Time { at, unit });
                }
            }
            if let (Some(at), Some(unit)) = (find(stem), usual) {
                return Some(Time { at, unit });
            }
        }
        None
    }

    /// The column of that name, with what stands in brackets after it.
    pub(super) fn with_unit(&self, wanted: &str) -> Option<(usize, Option<&str>)> {
        self.names.iter().enumerate().find_map(|(at, name)| {
            let rest = name.strip_prefix(wanted)?.trim();
            if rest.is_empty() {
                return Some((at, None));
            }
            Some((at, Some(rest.strip_prefix('[')?.strip_suffix(']')?)))
        })
    }
}

/// A value that may be absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<T> {
    Given(T),
    Absent,
    /// There is something, and it is not what it should be.
    Wrong,
}

impl<T> Value<T> {
    pub(super) fn given(self) -> Option<T> {
        match self {
            Value::Given(value) => Some(value),
            Value::Absent | Value::Wrong => None,
        }
    }
}

impl Time {
    pub(super) fn of(self, row: &ByteRecord) -> Value<f64> {
        match row.get(self.at).unwrap_or_default() {
            b"" | b"nan" | b"NaN" | b"None" => Value::Absent,
            text => read(text, self.unit).map_or(Value::Wrong, Value::Given),
        }
    }

    /// Whether it is the column's name that tells the unit, as text.
    pub(super) fn unit(self) -> &'static str {
        self.unit.suffix()
    }
}

/// A whole number.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

/// Text of a field.
pub(super) fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_owned()
}
