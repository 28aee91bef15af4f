//! A day of scrapes, derived from one scrape.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use super::process::cache;

/// Seconds.
const DAY: u64 = 24 * 3600;
const BLOCK: u64 = 2 * 3600;
const SCRAPE: u64 = 15;
/// The values of the scrape grow by this factor over the day.
const TIMES: f64 = 2_000.0;

struct Series {
    /// The series up to its last label, without the closing brace.
    head: String,
    value: f64,
    grows: bool,
}

/// Writes the blocks and returns the day's end in seconds since 1970.
pub(crate) fn write(exposition: &str, folder: &Path, data: &Path) -> u64 {
    let series = read(exposition);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = now / SCRAPE * SCRAPE;
    // A block must not span an even hour of UTC.
    let mut from = end - DAY;
    while from < end {
        let to = (from / BLOCK * BLOCK + BLOCK).min(end);
        let text = folder.join("scrapes.om");
        scrapes(&series, &text, end - DAY, (from, to));
        let mut promtool = Command::new(cache("bin/promtool"));
        promtool.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]).arg(&text).arg(data);
        let output = promtool.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(text).unwrap();
        from = to;
    }
    end
}

/// The size of all files below a folder in bytes.
pub(crate) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let of_entry = |entry: fs::DirEntry| {
        let about = entry.metadata().unwrap();
        if about.is_dir() { size(&entry.path()) } else { about.len() }
    };
    entries.map(of_entry).sum()
}

fn read(exposition: &str) -> Vec<Series> {
    let mut grows = false;
    let mut found = vec![Series { head: head("up"), value: 1.0, grows: false }];
    for line in exposition.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            grows = !kind.ends_with(" gauge");
        } else if let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) {
            found.push(Series { head: head(series), value: value.parse().unwrap(), grows });
        }
    }
    found
}

fn head(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let own = labels.trim_end_matches('}');
    let comma = if own.is_empty() { "" } else { "," };
    format!("{name}{{job=\"streamgauge\",instance=\"streamgauge:9464\"{comma}{own}")
}

fn scrapes(series: &[Series], path: &Path, began: u64, (from, to): (u64, u64)) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for at in (from..to).step_by(SCRAPE as usize) {
        let part = (at - began) as f64 / DAY as f64;
        // The load varies over the day. A counter is the integral of the load, so it never decreases.
        let grown = part + (part * 40.0).sin() / 60.0 + 0.02;
        let swing = 1.0 + 0.3 * (part * 200.0).sin();
        for Series { head, value, grows } in series {
            let value = match (*grows, value.fract() == 0.0) {
                (true, true) => (value * TIMES * grown).floor(),
                (true, false) => value * TIMES * grown,
                (false, true) => *value,
                (false, false) => value * swing,
            };
            writeln!(out, "{head}}} {value} {at}").unwrap();
        }
    }
    out.write_all(b"# EOF\n").unwrap();
    out.flush().unwrap();
}
