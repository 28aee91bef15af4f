//! NVIDIA's library as the binary loads it, with the figures of a throttled GPU.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "no async code: it waits for a process"
)]

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    get,
    nvml::{BUSY, HOT, Nvml},
    running::Running,
    streamgauge,
};

/// Longer than any step, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is as expected.
fn until(admin: &str, path: &str, expected: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(admin, path);
        if expected(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} never shows it:\n{answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn metric(answer: &str, series: &str) -> Option<f64> {
    let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn throttled_gpu_shows_its_reasons_clock_and_temperature_in_metrics_and_overview() {
    let nvml = Nvml::build(BUSY);
    let mut command =
        streamgauge(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream"]);
    command.arg("http://127.0.0.1:9");
    nvml.enter(&mut command);
    let mut running = Running::spawn(command);
    let [_, admin] = running.addresses();
    let limit = |answer: &str, reason: &str| {
        metric(answer, &format!("streamgauge_gpu_clock_limit{{gpu=\"0\",reason=\"{reason}\"}}"))
    };

    let busy = until(&admin, "/metrics", |answer| limit(answer, "sw_power_cap") == Some(1.0));
    for reason in ["hw_slowdown", "hw_thermal_slowdown", "gpu_idle"] {
        assert_eq!(limit(&busy, reason), Some(0.0), "{reason}");
    }
    assert!(busy.contains("uuid=\"GPU-0\",name=\"NVIDIA Test\",driver=\"580.00\"} 1"), "{busy}");
    assert_eq!(metric(&busy, "streamgauge_gpu_power_limit_watts{gpu=\"0\"}"), Some(350.0));

    nvml.show(HOT);
    let hot = until(&admin, "/metrics", |answer| limit(answer, "hw_thermal_slowdown") == Some(1.0));
    assert_eq!((limit(&hot, "hw_slowdown"), limit(&hot, "sw_power_cap")), (Some(1.0), Some(0.0)));
    assert_eq!(metric(&hot, "streamgauge_gpu_temperature_celsius{gpu=\"0\"}"), Some(91.0));
    for (domain, hertz) in [("graphics", 810e6), ("sm", 810e6), ("memory", 2_619e6)] {
        let clock = format!("streamgauge_gpu_clock_hertz{{gpu=\"0\",domain=\"{domain}\"}}");
        assert_eq!(metric(&hot, &clock), Some(hertz), "{domain}");
    }
    let overview = until(&admin, "/overview", |answer| answer.contains("hw_thermal_slowdown"));
    let overview: Value = serde_json::from_str(overview.split_once("\r\n\r\n").unwrap().1).unwrap();
    let gpu = &overview["gpus"][0];
    assert_eq!(gpu["clock_limits"], serde_json::json!(["hw_slowdown", "hw_thermal_slowdown"]), "{gpu}");
    assert_eq!((&gpu["celsius"], &gpu["watts"]), (&91.0.into(), &190.0.into()));

    nvml.lose();
    until(&admin, "/metrics", |answer| {
        metric(answer, "streamgauge_collector_up{collector=\"gpu\"}") == Some(0.0)
            && limit(answer, "hw_thermal_slowdown").is_none()
    });
}
