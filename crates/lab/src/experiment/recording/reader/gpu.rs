//! `gpu_metrics.csv`, of this program and of nvidia-smi (2.3).

use super::{
    super::{
        decimal::{Unit, read as read_time},
        layout::GPU,
    },
    Reading,
    column::Header,
    table,
};
use crate::analysis::{GpuSample, Recording};

/// The column of a quantity, with the factor of its unit.
#[derive(Clone, Copy)]
struct Quantity {
    at: usize,
    factor: f64,
}

struct GpuColumns {
    at: usize,
    gpu: Option<usize>,
    watts: Option<Quantity>,
    percent: Option<Quantity>,
    memory: Option<Quantity>,
    received: Option<Quantity>,
    sent: Option<Quantity>,
    energy: Option<Quantity>,
}

impl GpuColumns {
    fn of(header: &Header) -> Result<GpuColumns, String> {
        let quantity = |name: &str, usual: &str| {
            let Some((at, unit)) = header.with_unit(name) else { return Ok(None) };
            let unit = unit.unwrap_or(usual);
            match factor(unit) {
                Some(factor) => Ok(Some(Quantity { at, factor })),
                None => Err(format!("the column {name} is in {unit}, a unit that is not known")),
            }
        };
        let (at, _) = header.with_unit("timestamp").ok_or("it lacks the column timestamp")?;
        Ok(GpuColumns {
            at,
            gpu: header.any(&["gpu", "index"]),
            watts: quantity("power.draw", "w")?,
            percent: quantity("utilization.gpu", "%")?,
            memory: quantity("memory.used", "mib")?,
            received: quantity("pcie.rx", "mb/s")?,
            sent: quantity("pcie.tx", "mb/s")?,
            energy: quantity("energy", "j")?,
        })
    }
}

/// Returns the factor from a unit, in lower case, to the base unit.
fn factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "w" | "j" | "b" | "b/s" => 1.0,
        "mw" | "mj" => 1e-3,
        "%" => 0.01,
        "kib" | "kib/s" => 1024.0,
        "mib" | "mib/s" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "kb/s" => 1e3,
        "mb" | "mb/s" => 1e6,
        "gb/s" => 1e9,
        _ => return None,
    })
}

pub(super) fn read(reading: &mut Reading<'_>, recording: &mut Recording) {
    let mut origin = None;
    // The driver's indices, in the order of their first rows.
    let mut gpus: Vec<Vec<u8>> = Vec::new();
    table::read(reading, GPU, GpuColumns::of, |_, columns, row, _| {
        let when = &row[columns.at];
        let at = match read_time(when, Unit::Seconds) {
            Some(at) => at,
            None => {
                let date = std::str::from_utf8(when).ok().and_then(date);
                let date = date.ok_or(("value", "timestamp is not a time".to_owned()))?;
                // The file has a clock of its own, which counts from its first row.
                date - *origin.get_or_insert(date)
            }
        };
        let value = |column: Option<Quantity>| column.map_or(f64::NAN, |column| column.of(&row[column.at]));
        let index = columns.gpu.map_or(&b""[..], |at| &row[at]);
        let gpu = gpus.iter().position(|known| known == index).unwrap_or_else(|| {
            gpus.push(index.to_owned());
            gpus.len() - 1
        });
        recording.gpu.push(GpuSample {
            gpu: gpu as u32,
            at,
            watts: value(columns.watts),
            utilization: value(columns.percent),
            memory: value(columns.memory),
            pcie_received: value(columns.received),
            pcie_sent: value(columns.sent),
            energy: value(columns.energy),
        });
        Ok(())
    });
    if reading.has(GPU) && recording.gpu.is_empty() && !reading.has(super::RUNS) {
        reading.problems.say(GPU, None, "empty", || {
            "it has no rows: nvidia-smi's -lms writes none on some drivers".into()
        });
    }
}

impl Quantity {
    /// Returns NaN if there is no value. nvidia-smi writes `[N/A]`, and repeats the unit.
    fn of(self, field: &[u8]) -> f64 {
        let Ok(text) = std::str::from_utf8(field) else { return f64::NAN };
        let mut words = text.split_whitespace();
        let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else { return f64::NAN };
        let factor = words.next().and_then(|unit| factor(&unit.to_lowercase())).unwrap_or(self.factor);
        // A percentage is divided, so that 29 is exactly 0.29.
        if factor == 0.01 { value / 100.0 } else { value * factor }
    }
}

/// Parses `2025/11/27 10:11:12.123` as seconds since the epoch of its time zone, which is unknown.
fn date(text: &str) -> Option<f64> {
    let (date, time) = text.trim().split_once([' ', 'T'])?;
    let mut numbers = date.split(['/', '-']).map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?.parse::<f64>().ok()?, parts.next()?.parse::<f64>().ok()?);
    let second = parts.next()?.parse::<f64>().ok()?;
    if !((1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    // Days since 1970-03-01 in the civil calendar (Hinnant, "chrono-compatible low-level date algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_of_nvidia_smi_is_read_as_time() {
        // `date -u -d '2025-11-27 10:11:12' +%s`
        assert_eq!(date("2025/11/27 10:11:12.250"), Some(1_764_238_272.25));
        assert_eq!(date("1970-01-01T00:00:00"), Some(0.0));
        assert_eq!(date("2024/02/29 00:00:00"), Some(1_709_164_800.0));
        assert_eq!(date("2025/13/27 10:11:12"), None);
        assert_eq!(date("yesterday"), None);
    }
}
