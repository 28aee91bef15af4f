//! A compose project on ports of its own.

use std::{net::TcpListener, process::Command};

use serde_json::Value;

use super::engine::{Engine, succeed};

pub(crate) struct Project<'a> {
    engine: &'a Engine,
    files: &'a [&'a str],
    pub(crate) proxy: u16,
    /// The proxies of the second and the third sidecar, if the files have them.
    pub(crate) others: [u16; 2],
    pub(crate) admin: u16,
    pub(crate) prometheus: u16,
    pub(crate) grafana: u16,
    pub(crate) jaeger: u16,
}

impl<'a> Project<'a> {
    /// A project of these files, which is not started yet.
    pub(crate) fn new(engine: &'a Engine, files: &'a [&'a str]) -> Project<'a> {
        // Chosen together, so that they differ. They were free a moment ago.
        let taken = [(); 7].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [proxy, admin, prometheus, grafana, jaeger, second, third] =
            taken.map(|socket| socket.local_addr().unwrap().port());
        Project { engine, files, proxy, others: [second, third], admin, prometheus, grafana, jaeger }
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let files = self.files.iter().flat_map(|file| ["--file", file]);
        let mut command = self.engine.docker(&["compose"]);
        command
            .args(files)
            .args(arguments)
            .env("STREAMGAUGE_PORT", self.proxy.to_string())
            .env("STREAMGAUGE2_PORT", self.others[0].to_string())
            .env("STREAMGAUGE3_PORT", self.others[1].to_string())
            .env("STREAMGAUGE_ADMIN_PORT", self.admin.to_string())
            .env("PROMETHEUS_PORT", self.prometheus.to_string())
            .env("GRAFANA_PORT", self.grafana.to_string())
            .env("JAEGER_PORT", self.jaeger.to_string());
        command
    }

    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        succeed(&mut self.compose(arguments)).trim().to_owned()
    }

    /// Starts the project, and returns when every service with a health check is healthy. The image must exist
    /// already.
    pub(crate) async fn up(&self) {
        let up = ["up", "--detach", "--no-build", "--pull=never", "--wait", "--wait-timeout=300"];
        let output = tokio::process::Command::from(self.compose(&up)).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.say(&["logs", "--no-color", "--tail=50"]));
    }

    /// The container of a service.
    pub(crate) fn container(&self, service: &str) -> String {
        self.say(&["ps", "--all", "--quiet", service])
    }

    /// Whether a command in the container of a service succeeds.
    pub(crate) fn can(&self, service: &str, command: &[&str]) -> bool {
        let exec = [&["exec", "--no-TTY", service], command].concat();
        self.compose(&exec).output().unwrap().status.success()
    }

    /// Whether a process in the container of a service can connect to `HOST/PORT`.
    pub(crate) fn reaches(&self, from: &str, to: &str) -> bool {
        self.can(from, &["bash", "-c", &format!("exec 3<>/dev/tcp/{to}")])
    }

    /// The present values of this expression in Prometheus, one per series. Empty while Prometheus does not answer.
    pub(crate) async fn query(&self, expr: &str) -> Vec<f64> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.prometheus);
        let url = reqwest::Url::parse_with_params(&url, [("query", expr)]).unwrap();
        let Ok(response) = reqwest::get(url).await else { return Vec::new() };
        let Ok(answer) = response.json::<Value>().await else { return Vec::new() };
        let Some(series) = answer["data"]["result"].as_array() else { return Vec::new() };
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }
}
