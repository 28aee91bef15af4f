//! The alert of a throttled GPU, from NVIDIA's library to Prometheus.

use super::{
    nvml::{BUSY, HOT, Nvml},
    process::{Process, scratch},
    stack::{Servers, ours},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus; tests/real/install.sh"]
async fn throttled_gpu_makes_its_alert_pending_and_normal_power_cap_does_not() {
    let (folder, nvml) = (scratch(), Nvml::build(BUSY));
    let serve =
        ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9"];
    let mut command = ours(&serve);
    nvml.enter(&mut command);
    let sidecar = Process::start(&mut command, folder.path().join("serve.log"));
    let job = format!(
        "{{job_name: streamgauge, static_configs: [{{targets: ['{}']}}]}}",
        sidecar.address("admin=")
    );
    let servers = Servers::start(folder.path(), &job, "");
    servers.has_data("power cap", "streamgauge_gpu_clock_limit{reason=\"sw_power_cap\"} == 1").await;
    let alert = "ALERTS{alertname=\"StreamgaugeGpuClocksThrottled\"}";
    // The rules have read the power cap at least twice.
    servers
        .has_data(
            "power cap",
            "count_over_time(streamgauge_gpu_clock_limit{reason=\"sw_power_cap\"}[1m]) > 3",
        )
        .await;
    assert!(servers.query(alert).await.is_empty());

    nvml.show(HOT);
    // It is pending for its first five minutes, as the tests of the rules show.
    servers
        .has_data(
            "throttled",
            &format!("{alert} and on () ALERTS{{reason=\"hw_thermal_slowdown\", gpu=\"0\"}}"),
        )
        .await;
}
