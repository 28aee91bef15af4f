//! `top` and the panel of `demo`, in a pseudo-terminal of util-linux's `script`.

use std::process::{ChildStdin, ChildStdout};

use super::*;

/// A command in a terminal of 80 columns and 24 lines, and its output.
struct Screen {
    child: Child,
    keys: ChildStdin,
    out: ChildStdout,
    written: String,
}

impl Screen {
    fn start(arguments: &str) -> Screen {
        let command = format!(
            "stty cols 80 rows 24; exec env -i TERM=xterm {} {arguments}",
            env!("CARGO_BIN_EXE_streamgauge")
        );
        let mut child = in_terminal(&command);
        let (keys, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Screen { child, keys, out, written: String::new() }
    }

    /// Reads until this word was written after the last expected one. The terminal writes only the changed parts of
    /// a text, and never its spaces.
    fn until(&mut self, part: &str) {
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.written.find(part) {
                self.written.drain(..at + part.len());
                return;
            }
            let length = self.out.read(&mut piece).unwrap();
            assert!(length > 0, "{part:?} is not in {}", self.written);
            self.written += &String::from_utf8_lossy(&piece[..length]);
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn end(mut self) -> Option<i32> {
        let mut rest = Vec::new();
        self.out.read_to_end(&mut rest).unwrap();
        // The normal screen and the cursor are back.
        let rest = self.written + &String::from_utf8_lossy(&rest);
        assert!(rest.contains("\x1b[?1049l"), "{rest:?}");
        self.child.wait().unwrap().code()
    }
}

#[test]
fn top_shows_sidecar_switches_tables_survives_its_end_and_quits() {
    let (serve, [_, admin]) = serve(&format!("gpu0={}", server(VERSION)));
    let mut top = Screen::start(&format!("top {admin}"));
    top.until("running.");
    top.press("3");
    top.until("gpu0");
    serve.signal("-TERM");
    assert_eq!(serve.end().0, Some(0));
    top.until("answer:");
    top.press("q");
    assert_eq!(top.end(), Some(0));
}

#[test]
fn demo_in_terminal_shows_panel_and_q_ends_it() {
    let mut demo = Screen::start("demo --clients 3 --listen 127.0.0.1:0 --admin 127.0.0.1:0");
    demo.until("intended.");
    demo.until("sim:small");
    demo.press("q");
    demo.until("\x1b[?1049l");
    demo.written.insert_str(0, "\x1b[?1049l");
    demo.until("3 clients, ");
    demo.written.insert_str(0, "\x1b[?1049l");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn top_without_terminal_names_json_address() {
    let output = streamgauge(&["top", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("read /overview"), "{}", stderr(&output));
}

#[test]
fn demo_with_former_flag_names_new_flag() {
    let output = streamgauge(&["demo", "--agents", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`--agents` is now `--clients`"), "{}", stderr(&output));
}
