//! The position and unit of a column.

use csv::ByteRecord;

use super::super::decimal::{Unit, read};

/// A column of times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    at: usize,
    unit: Unit,
}

/// The header of a file: names in lower case, with their units split off.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(super) fn of(record: &ByteRecord) -> Header {
        let name = |field: &[u8]| {
            let name = String::from_utf8_lossy(field);
            // A spreadsheet writes a byte order mark before the first name.
            name.trim_start_matches('\u{feff}').trim().to_lowercase()
        };
        Header { names: record.iter().map(name).collect() }
    }

    /// Returns the name of a column, in lower case.
    pub(super) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// Returns the number of columns.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns the column with one of these names.
    pub(super) fn any(&self, wanted: &[&str]) -> Option<usize> {
        wanted.iter().find_map(|wanted| self.names.iter().position(|name| name == wanted))
    }

    /// Returns the column `STEM_UNIT` or `STEM [UNIT]` with one of these stems, or `STEM` alone if it has a usual
    /// unit.
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

    /// Returns the column with this name, and the text in brackets after the name.
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

/// A value that may be missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<T> {
    Given(T),
    Absent,
    /// The value is invalid.
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
            b"" | b"None" => Value::Absent,
            text if text.eq_ignore_ascii_case(b"nan") => Value::Absent,
            text => read(text, self.unit).map_or(Value::Wrong, Value::Given),
        }
    }

    /// Returns the place of the column.
    pub(super) fn place(self) -> usize {
        self.at
    }

    /// Returns the unit that the column's name states, as text.
    pub(super) fn unit(self) -> &'static str {
        self.unit.suffix()
    }
}

/// Parses an integer.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

/// Returns the text of a field.
pub(super) fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_owned()
}
