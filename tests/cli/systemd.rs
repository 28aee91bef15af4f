//! The notifications for systemd, on a socket like systemd's own.

use std::os::unix::net::UnixDatagram;

use super::*;

struct Manager {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Manager {
    /// The socket, and the command that the manager starts.
    fn start(arguments: &[&str]) -> (Manager, Command) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let listen = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = streamgauge(&[&listen, arguments].concat());
        command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
        (Manager { socket, _folder: folder }, command)
    }

    /// The next notification. Watchdog notifications are skipped, unless `part` is one.
    fn told(&self, part: &str) -> String {
        let mut message = [0; 4096];
        loop {
            let length = self.socket.recv(&mut message).unwrap();
            let text = String::from_utf8(message[..length].to_vec()).unwrap();
            if text.contains(part) {
                return text;
            }
            assert_eq!(text, "WATCHDOG=1\n", "{part} was to come");
        }
    }
}

fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn systemd_is_notified_of_ready_reload_watchdog_and_stop() {
    let configuration = file("[proxy]\ndrain_timeout = \"20s\"\n");
    let (manager, mut command) = Manager::start(&["--config", configuration.path().to_str().unwrap()]);
    let mut child = command.env("WATCHDOG_USEC", "300000").spawn().unwrap();
    let ready = manager.told("READY=1");
    assert!(ready.starts_with("READY=1\nSTATUS=clients: 127.0.0.1:"), "{ready}");
    // A client can send requests as soon as the sidecar has reported that it is ready.
    let admin = ready.trim().rsplit_once(' ').unwrap().1;
    assert!(get(admin, "/livez").contains("alive"));
    for _ in 0..3 {
        assert_eq!(manager.told("WATCHDOG=1"), "WATCHDOG=1\n");
    }

    signal(&child, "-HUP");
    let reloading = manager.told("RELOADING=1");
    let at: u64 = reloading.trim().strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(at > 0);
    assert_eq!(manager.told("READY=1"), ready);
    std::fs::write(configuration.path(), "[proxy]\nnothing = 1\n").unwrap();
    signal(&child, "-HUP");
    manager.told("RELOADING=1");
    let refused = manager.told("READY=1");
    assert!(refused.contains("the new configuration has mistakes"), "{refused}");

    signal(&child, "-TERM");
    let stopping = manager.told("STOPPING=1");
    assert_eq!(stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000\nSTATUS=draining\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn systemd_watchdog_without_request_sends_nothing_and_lost_manager_is_ignored() {
    let (manager, mut command) = Manager::start(&[]);
    let mut child = command.spawn().unwrap();
    manager.told("READY=1");
    manager.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(manager.socket.recv(&mut [0; 64]).is_err(), "nothing was asked for");
    drop(manager);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
