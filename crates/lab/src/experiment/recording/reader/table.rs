//! Reads one CSV file row by row, and reports mistakes in its format.

use std::fs::File;

use csv::{ByteRecord, ReaderBuilder};

use super::{Reading, column::Header, whole::WholeLines};

/// The number of bytes after which the progress is told.
const TOLD: u64 = 1 << 18;

/// The kind and text of a problem, for a row that cannot be used.
pub(super) type Fault = (&'static str, String);

/// Reads a file. `columns` finds the needed columns in the header, or returns which one is missing. `row` takes a
/// row, or returns its mistake. A missing file is not a problem here.
pub(super) fn read<C>(
    reading: &mut Reading<'_>,
    file: &str,
    columns: impl FnOnce(&Header) -> Result<C, String>,
    mut row: impl FnMut(&mut Reading<'_>, &C, &ByteRecord, u64) -> Result<(), Fault>,
) {
    let Some(opened) = open(reading, file) else { return };
    let mut whole = WholeLines::new(opened);
    let mut table = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&mut whole);
    let mut record = ByteRecord::new();
    match table.read_byte_record(&mut record) {
        Ok(true) => {}
        Ok(false) => {
            let what = || "it has no header, so nothing of it is read".into();
            reading.problems.say(file, Some(1), "empty", what);
            return;
        }
        Err(error) => return unreadable(reading, file, &error),
    }
    let header = Header::of(&record);
    let found = match columns(&header) {
        Ok(found) => found,
        Err(missing) => {
            reading.problems.say(file, Some(1), "column", || format!("{missing}: nothing of it is read"));
            return;
        }
    };
    let (mut lines, mut told) = (1, 0);
    loop {
        if table.position().byte() >= told + TOLD {
            (reading.progress)(table.position().byte() - told);
            told = table.position().byte();
        }
        match table.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                reading.problems.say(file, line, "form", || format!("the rest is not read: {error}"));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        lines = line;
        // A row ends with its line. Only a quote that is never closed lets the end of the file end it.
        if table.get_ref().has_ended() {
            reading.problems.say(file, Some(line), "quote", || {
                "a quote begins in this row and does not end: the rest of the file is left out".into()
            });
            break;
        }
        if !fits(reading, file, &header, &record) {
            continue;
        }
        if let Err((kind, what)) = row(reading, &found, &record, line) {
            reading.problems.say(file, Some(line), kind, || format!("{what}: the row is left out"));
        }
    }
    (reading.progress)(table.position().byte() - told);
    drop(table);
    if whole.is_cut_off() {
        let line = Some(lines + 1);
        reading.problems.say(file, line, "cut off", || "the last line is cut off and left out".into());
    }
}

/// Opens a file. `None`: it is missing, or it cannot be opened, which is a problem.
fn open(reading: &mut Reading<'_>, file: &str) -> Option<File> {
    match File::open(reading.folder.join(file)) {
        Ok(opened) => Some(opened),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            unreadable(reading, file, &error);
            None
        }
    }
}

fn unreadable(reading: &mut Reading<'_>, file: &str, error: &dyn std::error::Error) {
    reading.problems.say(file, None, "unreadable", || format!("it cannot be read: {error}"));
}

/// Returns whether a row has the fields of the header, and names values that are not numbers.
fn fits(reading: &mut Reading<'_>, file: &str, header: &Header, record: &ByteRecord) -> bool {
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != header.len() {
        let (have, need) = (record.len(), header.len());
        reading.problems.say(file, Some(line), "fields", || {
            format!("the row has {have} fields and the header {need}: it is left out")
        });
        return false;
    }
    if let Some(at) = record.iter().position(|field| field.eq_ignore_ascii_case(b"nan")) {
        let name = header.name(at).to_owned();
        reading.problems.say(file, Some(line), "NaN", || format!("{name} is NaN: it is treated as missing"));
    }
    true
}

/// Returns the problem of a field.
pub(super) fn wrong(column: &str, record: &ByteRecord, at: usize) -> Fault {
    let text = String::from_utf8_lossy(record.get(at).unwrap_or_default());
    let shown: String = text.chars().take(40).collect();
    ("value", format!("{column} is {shown:?}, which is not valid"))
}
