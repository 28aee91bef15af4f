//! A key at its limit, with far more requests than allowed, from wrk.

use std::{fs, process::Command};

use super::{
    process::{Process, cache, scratch},
    sidecar::Sidecar,
};

const RATE: f64 = 20.0;
const BURST: f64 = 10.0;
const SECONDS: &str = "30s";

/// Up to some thousand requests per second, which is more than enough.
const SCRIPT: &str = "wrk.headers['X-Api-Key'] = 'sesame'\nfunction delay() return 2 end\n";

/// The number before `mark` in the output of wrk.
fn number(report: &str, mark: &str) -> f64 {
    let before = report.split(mark).next().unwrap();
    before.split_whitespace().next_back().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs wrk; tests/real/install.sh"]
fn rate_limit_of_key_admits_wrk_at_configured_rate() {
    let scratch = scratch();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    simulate.args(["simulate", "--listen", "127.0.0.1:0"]);
    let simulate = Process::start(&mut simulate, scratch.path().join("simulate.log"));
    let settings = format!(
        "[[upstream]]\nname = \"sim\"\nurl = \"http://{}\"\n[access]\nrequire_key = true\n\
         [[key]]\nname = \"wrk\"\nkey_env = \"WRK\"\nrequests = \"{RATE}/s\"\nrequests_burst = {BURST}\n",
        simulate.address("ollama=")
    );
    let sidecar = Sidecar::of(&settings, [("WRK".to_owned(), "sesame".to_owned())]);
    let script = scratch.path().join("key.lua");
    fs::write(&script, SCRIPT).unwrap();

    let mut wrk = Command::new(cache("bin/wrk"));
    wrk.args(["-t1", "-c8", "-d", SECONDS, "-s"]).arg(&script).arg(format!("{}/api/version", sidecar.url));
    let output = wrk.output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    let all = number(&report, " requests in ");
    let time: f64 = report.split(" requests in ").nth(1).unwrap().split('s').next().unwrap().parse().unwrap();
    let refused: f64 = report
        .split("Non-2xx or 3xx responses: ")
        .nth(1)
        .unwrap()
        .trim()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let allowed = RATE * time + BURST;
    assert!(all > 2.0 * allowed, "wrk asked for too little to tell: {report}");
    assert!(((all - refused) / allowed - 1.0).abs() <= 0.01, "{} of {allowed}: {report}", all - refused);
    // Requests in progress when wrk stopped were decided too.
    let admitted = sidecar.sum("admission_total", &[r#"decision="admitted""#]);
    assert!((admitted / allowed - 1.0).abs() <= 0.01, "{admitted} of {allowed}");
}
