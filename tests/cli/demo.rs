//! `demo`: everything in one process.

use std::process::ChildStdout;

use super::*;

const FREE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

/// A running demo and its output.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        let mut child = streamgauge(&[&["demo"], arguments].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Demo { child, out }
    }

    /// The next line that contains `part`. Fails at the end.
    fn line(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if line.contains(part) {
                return line;
            }
            line.clear();
        }
        panic!("{part:?} was never printed");
    }

    /// The addresses of the proxy and of the admin listener.
    fn addresses(&mut self) -> [String; 2] {
        let proxy = self.line("Address for clients");
        let admin = self.line("/metrics");
        [proxy, admin].map(|line| {
            let (_, address) = line.trim().rsplit_once("http://").unwrap();
            address.trim_end_matches("/metrics").to_owned()
        })
    }

    fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The process has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn demo_after_a_few_seconds_shows_every_outcome_and_tokens() {
    let output =
        streamgauge(&[&["demo", "--clients", "5", "--duration", "4s"], &FREE[..]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(!shown.contains('\x1b'), "{shown}");
    let (lines, summary) = shown.split_once("\n5 clients, ").unwrap();
    assert!(lines.matches(" s  streams ").count() >= 2, "{shown}");
    for outcome in
        ["complete", "in_band_error", "truncated", "upstream_error", "client_error", "client_abort"]
    {
        assert!(summary.contains(&format!("{outcome} ")), "{outcome} is not in {shown}");
    }
    let of = |name: &str| summary.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim();
    let tokens: f64 = of("tokens").split(' ').next().unwrap().parse().unwrap();
    assert!(tokens > 0.0, "{shown}");
    for quantiles in [of("gap"), of("first token")] {
        assert!(
            quantiles.contains("p50") && quantiles.contains("p99") && !quantiles.contains('-'),
            "{shown}"
        );
    }
    let overlap: f64 = of("overlap").split(' ').next().unwrap().parse().unwrap();
    assert!(overlap >= 1.0, "{shown}");
}

#[test]
fn demo_serves_other_clients_until_ctrl_c() {
    let mut demo = Demo::start(&[&["--clients", "2"], &FREE[..]].concat());
    let [proxy, admin] = demo.addresses();
    assert!(get(&proxy, "/api/tags").contains("sim:small"));
    demo.line("streams ");
    let metrics = get(&admin, "/metrics");
    assert!(metrics.contains("streamgauge_build_info{"), "{metrics}");
    assert!(metrics.contains("upstream=\"simulated\",route=\"chat\""), "{metrics}");
    demo.signal("-INT");
    demo.line("2 clients, ");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

/// The value of the only series that begins with this; `None` while there is none.
fn value(page: &str, name: &str) -> Option<f64> {
    let mut series = page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let (_, value) = series.next()?;
    assert!(series.next().is_none(), "{name}");
    Some(value.parse().unwrap())
}

#[test]
fn demo_fake_gpu_follows_streams_and_is_marked_as_fake() {
    let mut demo = Demo::start(&[&["--clients", "6", "--fake-gpu"], &FREE[..]].concat());
    let [_, admin] = demo.addresses();
    assert!(demo.line("GPU  ").contains("fake"));
    // One line of the summary each second.
    while value(&get(&admin, "/metrics"), "streamgauge_gpu_busy_seconds_total{").is_none_or(|busy| busy < 0.2)
    {
        demo.line(" s  streams ");
    }
    let page = get(&admin, "/metrics");
    let series: Vec<_> = page.lines().filter(|line| line.starts_with("streamgauge_gpu_")).collect();
    assert!(series.len() > 40, "{page}");
    assert!(series.iter().all(|line| line.contains("gpu=\"fake0\"")), "{series:?}");
    assert!(page.contains("name=\"fake GPU\",driver=\"fake\""), "{page}");
    assert!(value(&page, "streamgauge_gpu_energy_joules_total{").is_some_and(|joules| joules > 0.0));
    demo.signal("-INT");
    demo.line("6 clients, ");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn demo_without_fake_gpu_shows_no_gpu() {
    let mut demo = Demo::start(&[&["--clients", "1"], &FREE[..]].concat());
    let [_, admin] = demo.addresses();
    demo.line(" s  streams ");
    let page = get(&admin, "/metrics");
    assert!(page.contains("streamgauge_runtime_workers{runtime=\"main\"}"), "{page}");
    assert!(!page.contains("streamgauge_gpu_") && !page.contains("collector=\"gpu\""), "{page}");
    demo.signal("-INT");
    demo.line("1 client, ");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn demo_takes_free_ports_if_default_ports_are_taken() {
    let defaults = ["127.0.0.1:11440", "127.0.0.1:9464"];
    // If another process holds the ports, they are taken just as well.
    let _taken = defaults.map(TcpListener::bind);
    let mut demo = Demo::start(&["--clients", "1"]);
    let [proxy, admin] = demo.addresses();
    assert!(!defaults.contains(&&*proxy) && !defaults.contains(&&*admin), "{proxy}, {admin}");
    assert!(get(&admin, "/livez").ends_with("alive\n"));
    demo.signal("-TERM");
    demo.line("1 client, ");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn demo_with_requested_address_taken_exits_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--admin"), ("--admin", "--listen")] {
        let output = streamgauge(&["demo", flag, &address, other, "127.0.0.1:0"]).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!(" on {address}: ")) && said.contains(flag), "{said}");
        assert!(!said.contains(other), "{said}");
    }
}

#[test]
fn demo_ends_if_reader_of_its_output_leaves() {
    let mut child = streamgauge(&[&["demo"], &FREE[..]].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
