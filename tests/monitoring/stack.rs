//! A whole stack on free ports: simulated Ollama, sidecar, and both Prometheus 2 and 3 with the rules.

use std::{
    fs,
    net::TcpListener,
    path::{self, Path},
    process::{Command, Output},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

use super::process::{PATIENCE, Process, cache, scratch};

/// A port that was free a moment ago, for servers that do not report their port.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The sidecar's `/metrics`.
pub(crate) async fn scrape(admin: &str) -> String {
    reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap()
}

/// The output of a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; was tests/real/install.sh run?"));
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}

/// Polls until there is an answer, or fails with the text of `otherwise`.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>, otherwise: impl Fn() -> String) -> T {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never happens: {}", otherwise());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The versions of Prometheus that must read the metrics, the rules and the queries alike: the oldest that is supported,
/// and the one of compose.yaml. The third major version reads bounds of buckets, selectors and regular expressions
/// differently.
pub(crate) const SERVERS: [&str; 2] = ["bin/prometheus", "bin/prometheus-3"];

/// Both versions of Prometheus with the rules.
pub(crate) struct Servers {
    /// In the order of [`SERVERS`].
    addresses: Vec<String>,
    processes: Vec<Process>,
}

impl Servers {
    /// Starts both with their data in `folder`. `jobs` is what `scrape_configs` contains, and `more` are further sections
    /// of the configuration.
    pub(crate) fn start(folder: &Path, jobs: &str, more: &str) -> Servers {
        Servers::start_only(&SERVERS, folder, jobs, more)
    }

    /// Starts these versions.
    pub(crate) fn start_only(servers: &[&str], folder: &Path, jobs: &str, more: &str) -> Servers {
        let rules = path::absolute("prometheus/rules").unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{more}\n\
             rule_files: ['{0}/recording.yml', '{0}/alerts.yml']\nscrape_configs: [{jobs}]\n",
            rules.display()
        );
        fs::create_dir_all(folder).unwrap();
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let start = |name: &str| {
            let address = format!("127.0.0.1:{}", port());
            let data = folder.join(name.replace('/', "-"));
            let mut command = Command::new(cache(name));
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--enable-feature=exemplar-storage");
            (Process::start(&mut command, data.with_extension("log")), address)
        };
        let (processes, addresses) = servers.iter().copied().map(start).unzip();
        Servers { addresses, processes }
    }

    /// The result of an instant query: the series, each with its value. It is that of the first server, and empty as long
    /// as one of them has none.
    pub(crate) async fn query(&self, expr: &str) -> Vec<Value> {
        let mut first = Vec::new();
        for server in self.addresses.iter().rev() {
            first = query(server, expr).await;
            if first.is_empty() {
                break;
            }
        }
        first
    }

    /// The series of an instant query, for each server.
    pub(crate) async fn each(&self, expr: &str) -> Vec<Vec<Value>> {
        let mut found = Vec::new();
        for server in &self.addresses {
            found.push(query(server, expr).await);
        }
        found
    }

    /// The exemplars of a query in the last hour, for each server.
    pub(crate) async fn exemplars(&self, expr: &str) -> Vec<Vec<Value>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let times = [("start", now - 3600), ("end", now + 60)].map(|(name, time)| (name, time.to_string()));
        let mut found = Vec::new();
        for server in &self.addresses {
            let mut url = reqwest::Url::parse(&format!("http://{server}/api/v1/query_exemplars")).unwrap();
            url.query_pairs_mut().append_pair("query", expr).extend_pairs(&times);
            let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
            let series = answer["data"].as_array().unwrap_or_else(|| panic!("{expr}: {answer}"));
            let all = series.iter().flat_map(|series| series["exemplars"].as_array().unwrap());
            found.push(all.cloned().collect());
        }
        found
    }

    /// Waits until a query has a value that is a number, or fails with the name of the place.
    pub(crate) async fn has_data(&self, place: &str, expr: &str) {
        until(
            async || self.query(expr).await.iter().any(|series| series["value"][1] != "NaN").then_some(()),
            || format!("{place}: no data\n{expr}"),
        )
        .await;
    }

    /// Waits until both have scraped this many targets.
    pub(crate) async fn scraped(&self, targets: usize) {
        let all = async || (self.query("up == 1").await.len() == targets).then_some(());
        until(all, || self.log()).await;
    }

    pub(crate) fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect::<Vec<_>>().join("\n")
    }
}

/// The command of this package's program with these arguments, without the variables of the test.
pub(crate) fn ours(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(arguments).env_clear();
    command
}

/// A simulated Ollama, a sidecar in front of it, and two versions of Prometheus with the rules that scrape it;
/// optionally a demo with its fake GPU.
pub(crate) struct Stack {
    pub(crate) proxy: String,
    pub(crate) admin: String,
    /// The demo's admin address.
    pub(crate) demo: Option<String>,
    pub(crate) servers: Servers,
    processes: Vec<Process>,
    _folder: TempDir,
}

impl Stack {
    /// The sidecar has one upstream, `sim`, to which `settings` may add. `alerting` is the address of an
    /// Alertmanager.
    pub(crate) async fn start(
        simulate: &[&str],
        settings: &str,
        alerting: Option<&str>,
        demo: bool,
    ) -> Stack {
        let folder = scratch();
        let log = |name: &str| folder.path().join(format!("{name}.log"));
        let (simulator, sidecar) = pair(&folder, "", simulate, settings);
        let (proxy, admin) = (sidecar.address("proxy="), sidecar.address("admin="));
        let mut processes = vec![simulator, sidecar];
        let mut targets = format!("'{admin}'");
        let demo = demo.then(|| {
            let demo = ["demo", "--fake-gpu", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
            let demo = Process::start(&mut ours(&demo), log("demo"));
            let admin =
                demo.find(|line| Some(line.split_once("http://")?.1.strip_suffix("/metrics")?.to_owned()));
            processes.push(demo);
            targets.push_str(&format!(", '{admin}'"));
            admin
        });
        let alerting = alerting.map_or_else(String::new, |at| {
            format!("alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{at}']}}]}}]}}\n")
        });
        let job = format!("{{job_name: streamgauge, static_configs: [{{targets: [{targets}]}}]}}");
        let servers = Servers::start(folder.path(), &job, &alerting);
        servers.scraped(1 + usize::from(demo.is_some())).await;
        Stack { proxy, admin, demo, servers, processes, _folder: folder }
    }

    /// The result of an instant query, as [`Servers::query`].
    pub(crate) async fn query(&self, expr: &str) -> Vec<Value> {
        self.servers.query(expr).await
    }

    pub(crate) fn logs(&self) -> String {
        let ours: Vec<_> = self.processes.iter().map(Process::log).collect();
        format!("{}\n{}", ours.join("\n"), self.servers.log())
    }
}

/// A simulated Ollama, and a sidecar with it as the upstream `sim`, to which `settings` may add. `name` is part of the names
/// of their files.
pub(crate) fn pair(folder: &TempDir, name: &str, simulate: &[&str], settings: &str) -> (Process, Process) {
    let path = |file: &str| folder.path().join(format!("{name}{file}"));
    let listen = ["simulate", "--listen", "127.0.0.1:0"];
    let simulator = Process::start(&mut ours(&[&listen, simulate].concat()), path("simulate.log"));
    let file = path("streamgauge.toml");
    let url = format!("http://{}", simulator.address("ollama="));
    fs::write(&file, format!("[[upstream]]\nname = \"sim\"\nurl = \"{url}\"\n{settings}\n")).unwrap();
    let listen = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"];
    let serve = [&listen[..], &[file.to_str().unwrap()]].concat();
    (simulator, Process::start(&mut ours(&serve), path("serve.log")))
}

async fn query(server: &str, expr: &str) -> Vec<Value> {
    let url = format!("http://{server}/api/v1/query");
    let form = reqwest::Url::parse_with_params(&url, [("query", expr)]).unwrap();
    let Ok(response) = reqwest::get(form).await else { return Vec::new() };
    let Ok(answer) = response.json::<Value>().await else { return Vec::new() };
    if answer["status"] == "error" && answer["errorType"] == "bad_data" {
        panic!("{expr}: {}", answer["error"]);
    }
    match &answer["data"]["result"] {
        Value::Array(series) => series.clone(),
        _ => Vec::new(),
    }
}
