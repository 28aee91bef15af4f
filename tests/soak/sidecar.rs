//! The real binary, its configuration, and the readers of its admin address.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::PATIENCE;

pub(crate) struct Sidecar {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Option<Child>,
    upstreams: [SocketAddr; 2],
    folder: TempDir,
    looks: reqwest::Client,
}

impl Sidecar {
    pub(crate) async fn start(upstreams: [SocketAddr; 2]) -> Sidecar {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("streamgauge.toml");
        std::fs::write(&file, configuration(upstreams, 0)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(&file);
        let mut child = command.env_clear().stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = spawn_blocking(move || {
            let listening = log.find(|line| line.as_ref().unwrap().contains("listening"));
            // Read to the end, so that the pipe never fills.
            thread::spawn(move || log.for_each(drop));
            listening.expect("it ended").unwrap()
        });
        let line = listening.await.unwrap();
        let addr =
            |key: &str| line.split(key).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        let (proxy, admin) = (addr("proxy="), addr("admin="));
        let looks = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Sidecar { proxy, admin, child: Some(child), upstreams, folder, looks }
    }

    /// Requests the page as a browser does.
    pub(crate) async fn look_at_the_page(&self) {
        for (path, part) in [("/", "<!doctype html>"), ("/overview", "\"points\""), ("/streams", "[")] {
            let url = format!("http://{}{path}", self.admin);
            let text = self.looks.get(url).send().await.unwrap().text().await.unwrap();
            assert!(text.to_ascii_lowercase().contains(part), "{path}: {text}");
        }
    }

    /// Loads another configuration: keys come and go, shaping is on and off.
    pub(crate) fn reload(&self, turn: usize) {
        let (file, draft) = (self.folder.path().join("streamgauge.toml"), self.folder.path().join("draft"));
        std::fs::write(&draft, configuration(self.upstreams, turn)).unwrap();
        std::fs::rename(draft, file).unwrap();
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, Signal::HUP).unwrap();
    }

    pub(crate) async fn ends(mut self) {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // The process has ended, unless the test failed.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(upstreams: [SocketAddr; 2], turn: usize) -> String {
    let [stays, comes] = upstreams;
    let (key, pace) = (turn % 3, if turn.is_multiple_of(2) { 0 } else { 5000 });
    format!(
        "[upstreams]\nhealth_interval = \"250ms\"\n[collectors]\nprocess = \"100ms\"\n[shaping]\npace = {pace}\n\
         [[upstream]]\nname = \"stays\"\nurl = \"http://{stays}\"\n\
         [[upstream]]\nname = \"comes\"\nurl = \"http://{comes}\"\n\
         [[key]]\nname = \"key{key}\"\nsha256 = \"{key:064x}\"\nrequests = \"100/s\"\n"
    )
}
