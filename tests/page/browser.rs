//! Chromium, controlled over WebDriver.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{PATIENCE, Process, cache, scratch};

/// A browser with one tab. Dropping it closes the browser.
pub(crate) struct Browser {
    client: reqwest::Client,
    session: String,
    _driver: Process,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Browser {
        let profile = scratch();
        let mut command = Command::new(cache("bin/chromedriver"));
        command.arg("--port=0");
        let driver = Process::start(&mut command, profile.path().join("driver.log"));
        let port: u16 = driver.find(|line| {
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let user = format!("--user-data-dir={}", profile.path().join("profile").display());
        let options = json!({
            "binary": cache("bin/chromium"),
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--no-proxy-server", "--window-size=1280,1000", user,
            ],
        });
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let mut browser = Browser {
            client,
            session: format!("http://127.0.0.1:{port}/session"),
            _driver: driver,
            _profile: profile,
        };
        let session = browser.post("", json!({"capabilities": {"alwaysMatch": wanted}})).await;
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().unwrap());
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.client.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        let status = response.status();
        let mut answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{path} {body}: {answer}");
        answer["value"].take()
    }

    /// Opens an address and waits until the page has drawn something.
    pub(crate) async fn open(&self, admin: impl std::fmt::Display) {
        self.visit(&format!("http://{admin}/")).await;
        self.until("document.body.dataset.last !== undefined").await;
    }

    pub(crate) async fn visit(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs statements in the page.
    pub(crate) async fn script(&self, script: &str) {
        self.post("/execute/sync", json!({"script": script, "args": []})).await;
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")).await != true {
            let text = self.value("document.body.innerText").await;
            assert!(Instant::now() < deadline, "never {expression} on\n{}", text.as_str().unwrap());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// The visible text of an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let found = self.value(&format!("document.querySelector({}).innerText", json!(selector))).await;
        found.as_str().unwrap().to_owned()
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn command(&self, name: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": name, "params": parameters})).await
    }

    /// The complaints of the page: errors of its script, and violations of its policy.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let lines = self.post("/se/log", json!({"type": "browser"})).await;
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes its browser only on request, and a drop cannot await that.
        let _ =
            Command::new(cache("bin/curl")).args(["-s", "-m", "10", "-X", "DELETE", &self.session]).output();
    }
}
