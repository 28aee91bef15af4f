//! The format of the pipe: lines of JSON, some of them followed by doubles in the machine's format.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::{
    analysis::Probe,
    experiment::agent::{Arrival, Ending, Telling},
};

/// The maximum number of doubles after one line: a quarter of a second at a hundred thousand chunks per second.
const DOUBLES: usize = 1 << 20;
/// The doubles of an arrival, and of a probe.
const ARRIVAL: usize = 4;
const LAG: usize = 2;

/// A line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The process is ready, with these versions.
    Ready(BTreeMap<String, String>),
    /// The process lacks these packages.
    Missing(Vec<String>),
    /// Its clock, in seconds.
    Clock(f64),
    Arrivals {
        agent: u32,
        rows: usize,
    },
    Lags {
        probe: ProbeName,
        rows: usize,
    },
    Ended(Box<Ending>),
    Over {
        cpu: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProbeName {
    Schedule,
    Yield,
}

/// Appends a report in the format of the pipe.
pub(super) fn encode(telling: &Telling, out: &mut Vec<u8>) {
    let (line, doubles): (Line, Vec<f64>) = match telling {
        Telling::Arrivals { agent, arrivals } => {
            let doubles = |arrival: &Arrival| {
                [arrival.at, f64::from(arrival.bytes), f64::from(arrival.records), arrival.parse]
            };
            let line = Line::Arrivals { agent: *agent, rows: arrivals.len() };
            (line, arrivals.iter().flat_map(doubles).collect())
        }
        Telling::Lags { probe, samples } => {
            let probe = match probe {
                Probe::Schedule => ProbeName::Schedule,
                Probe::Yield => ProbeName::Yield,
            };
            let doubles = samples.iter().flat_map(|(at, lag)| [*at, *lag]).collect();
            (Line::Lags { probe, rows: samples.len() }, doubles)
        }
        Telling::Ended(ending) => (Line::Ended(ending.clone()), Vec::new()),
        Telling::Over { cpu } => (Line::Over { cpu: *cpu }, Vec::new()),
    };
    line_out(&line, out);
    doubles.iter().for_each(|double| out.extend_from_slice(&double.to_ne_bytes()));
}

pub(super) fn line_out(line: &Line, out: &mut Vec<u8>) {
    // Writing into memory cannot fail, and the keys are names.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}

/// Reads the next line. `None`: the input has ended.
pub(super) async fn next(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Line>> {
    let mut text = Vec::new();
    if input.read_until(b'\n', &mut text).await? == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&text).map(Some).map_err(|_| {
        let shown: String = String::from_utf8_lossy(&text).chars().take(80).collect();
        io::Error::new(io::ErrorKind::InvalidData, format!("it says {:?}", shown.trim_end()))
    })
}

/// Reads the report of a line, with the doubles after it. Times are shifted by `offset` seconds. `None`: the line is
/// not about agents.
pub(super) async fn telling(
    line: Line,
    input: &mut (impl AsyncBufRead + Unpin),
    offset: f64,
) -> io::Result<Option<Telling>> {
    Ok(Some(match line {
        Line::Arrivals { agent, rows } => {
            let doubles = doubles(input, rows, ARRIVAL).await?;
            let arrival = |row: &[f64]| Arrival {
                at: row[0] + offset,
                bytes: row[1] as u32,
                records: row[2] as u32,
                parse: row[3],
            };
            Telling::Arrivals { agent, arrivals: doubles.chunks_exact(ARRIVAL).map(arrival).collect() }
        }
        Line::Lags { probe, rows } => {
            let doubles = doubles(input, rows, LAG).await?;
            let probe = match probe {
                ProbeName::Schedule => Probe::Schedule,
                ProbeName::Yield => Probe::Yield,
            };
            let samples = doubles.chunks_exact(LAG).map(|row| (row[0] + offset, row[1])).collect();
            Telling::Lags { probe, samples }
        }
        Line::Ended(mut ending) => {
            ending.started += offset;
            ending.scheduled = ending.scheduled.map(|scheduled| scheduled + offset);
            Telling::Ended(ending)
        }
        Line::Over { cpu } => Telling::Over { cpu },
        Line::Ready(_) | Line::Missing(_) | Line::Clock(_) => return Ok(None),
    }))
}

async fn doubles(
    input: &mut (impl AsyncBufRead + Unpin),
    rows: usize,
    columns: usize,
) -> io::Result<Vec<f64>> {
    let count = rows.saturating_mul(columns);
    if count > DOUBLES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it announces {rows} rows at once")));
    }
    let mut bytes = vec![0; 8 * count];
    input.read_exact(&mut bytes).await?;
    let double = |bytes: &[u8]| f64::from_ne_bytes(bytes.try_into().expect("chunks of 8 are 8 long"));
    Ok(bytes.chunks_exact(8).map(double).collect())
}
