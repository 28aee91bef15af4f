//! A sidecar between agents and an Ollama, for conditions that use one. It is a process of this program.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use super::plan::SidecarPlan;
use streamgauge_tls as tls;

const PATIENCE: Duration = Duration::from_secs(30);
/// The maximum size of a sidecar's scrape, bytes.
const SCRAPE: usize = 32 << 20;

/// A running sidecar. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Sidecar {
    _process: Child,
    /// The URL for the agents.
    pub(super) url: String,
    admin: String,
}

impl Sidecar {
    /// Starts a sidecar in front of an Ollama, without these variables. Its configuration stays in the recording.
    pub(super) async fn start(
        (program, unset): (&Path, &[OsString]),
        folder: &Path,
        number: usize,
        plan: &SidecarPlan,
        (upstream, url): (&str, &str),
    ) -> Result<Sidecar, String> {
        let file = folder.join(format!("sidecar-{number}.toml"));
        let failed = |what: String| format!("the sidecar in front of {upstream} does not start: {what}");
        write(&file, plan).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(program);
        for name in unset {
            command.env_remove(name);
        }
        command.arg("serve").arg("--config").arg(&file);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"]);
        command.args(["--upstream", &format!("{upstream}={url}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stderr = process.stderr.take().ok_or_else(|| failed("its log is missing".into()))?;
        let mut lines = BufReader::new(stderr).lines();
        let (proxy, admin) = match timeout(PATIENCE, addresses(&mut lines)).await {
            Ok(found) => found.map_err(failed)?,
            Err(_) => return Err(failed("it does not report its address".into())),
        };
        // A pipe that is not read would block the sidecar when it is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Sidecar { _process: process, url: format!("http://{proxy}"), admin: format!("http://{admin}") })
    }

    /// Returns its metrics, by series.
    pub(super) async fn scrape(&self) -> Result<BTreeMap<String, f64>, String> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let client = tls::prepare(client, None).build();
        let get = async {
            let mut answer =
                client?.get(format!("{}/metrics", self.admin)).send().await?.error_for_status()?;
            let mut text = Vec::new();
            while let Some(bytes) = answer.chunk().await? {
                if text.len() < SCRAPE {
                    text.extend_from_slice(&bytes);
                }
            }
            Ok::<_, reqwest::Error>(text)
        };
        let text = get.await.map_err(|error| format!("the sidecar's metrics can't be read: {error}"))?;
        Ok(series(&String::from_utf8_lossy(&text)))
    }
}

fn write(file: &PathBuf, plan: &SidecarPlan) -> io::Result<()> {
    let mut shaping = toml::Table::new();
    if let Some(pace) = plan.pace {
        shaping.insert("pace".into(), i64::from(pace).into());
    }
    if let Some(coalesce) = plan.coalesce {
        let table = [("delay", coalesce.to_string()), ("bytes", "1KiB".to_owned())];
        let table: toml::Table =
            table.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        shaping.insert("coalesce".into(), table.into());
    }
    if plan.merge {
        shaping.insert("merge".into(), true.into());
    }
    let file_text: toml::Table = [("shaping".to_owned(), toml::Value::Table(shaping))].into_iter().collect();
    fs::write(file, file_text.to_string())
}

/// Reads the addresses from the line of its log that says that it listens.
async fn addresses(lines: &mut Lines<BufReader<ChildStderr>>) -> Result<(String, String), String> {
    let mut said = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |key: &str| parsed.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        if let (Some(proxy), Some(admin)) = (text("proxy"), text("admin")) {
            return Ok((proxy, admin));
        }
        said.push(line);
    }
    Err(if said.is_empty() { "it ended without output".into() } else { said.join("; ") })
}

/// Returns our own series with their values, and the CPU time of the process.
fn series(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| line.starts_with("streamgauge_") || line.starts_with("process_cpu_seconds_total"))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// Returns the changes, series by series. Counters and histograms then describe the run alone, and gauges their
/// change.
pub(super) fn changes(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    after
        .iter()
        .map(|(series, value)| (series.clone(), value - before.get(series).copied().unwrap_or(0.0)))
        .filter(|(_, change)| change.is_finite() && *change != 0.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::plan::Span, *};

    #[test]
    fn scrape_difference_is_given_by_series() {
        let before = series("# TYPE streamgauge_a counter\nstreamgauge_a{x=\"y z\"} 3\nstreamgauge_b 1\n");
        let after = series(
            "streamgauge_a{x=\"y z\"} 5\nstreamgauge_b 1\nstreamgauge_c 2\nstreamgauge_d NaN\nprocess_threads 9\n",
        );
        let expected = [("streamgauge_a{x=\"y z\"}".into(), 2.0), ("streamgauge_c".into(), 2.0)];
        assert_eq!(changes(&before, &after), expected);
    }

    #[test]
    fn plan_becomes_a_sidecar_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sidecar.toml");
        let text = |plan: &SidecarPlan| {
            write(&file, plan).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        let shaped =
            SidecarPlan { pace: Some(60), coalesce: Some(Span(Duration::from_millis(50))), merge: true };
        let written: toml::Table = text(&shaped).parse().unwrap();
        let expected =
            "[shaping]\npace = 60\nmerge = true\ncoalesce = { delay = \"50ms\", bytes = \"1KiB\" }\n";
        assert_eq!(written, expected.parse().unwrap());
        assert_eq!(
            text(&SidecarPlan::default()).parse::<toml::Table>().unwrap(),
            "[shaping]".parse().unwrap()
        );
    }
}
