//! The screenshot in the README: the page of a demo.

use std::{env, fs, process::Command, time::Duration};

use serde_json::json;

use super::{
    browser::Browser,
    process::{Process, scratch},
};

/// The CPU time of the page's thread per refresh in ms: in its script, in style and layout, and in total.
async fn cost(browser: &Browser) -> [f64; 3] {
    const REFRESHES: u64 = 10;
    browser.command("Performance.enable", json!({"timeDomain": "threadTicks"})).await;
    let spent = async || {
        let answer = browser.command("Performance.getMetrics", json!({})).await;
        let metrics = answer["metrics"].as_array().unwrap().clone();
        let seconds = |name: &str| {
            metrics.iter().find(|metric| metric["name"] == name).unwrap()["value"].as_f64().unwrap()
        };
        let looks = seconds("RecalcStyleDuration") + seconds("LayoutDuration");
        [seconds("ScriptDuration"), looks, seconds("TaskDuration")]
    };
    let last = browser.value("Number(document.body.dataset.last)").await.as_u64().unwrap();
    let before = spent().await;
    // The test does not query the page meanwhile, since that would be counted too.
    tokio::time::sleep(Duration::from_secs(2 * REFRESHES)).await;
    let after = spent().await;
    let refreshes = browser.value("Number(document.body.dataset.last)").await.as_u64().unwrap() - last;
    std::array::from_fn(|at| (after[at] - before[at]) * 1e3 / refreshes as f64)
}

/// `PAGE_PICTURE_AFTER=620` waits until the plots are full. `just page-picture` does so and writes the picture to
/// docs/img.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_of_demo_fills_with_figures() {
    let folder = scratch();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    demo.args(["demo", "--clients", "9", "--fake-gpu", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let demo = Process::start(demo.env_clear(), folder.path().join("demo.log"));
    let admin = demo.address("Metrics                http://");
    let after = env::var("PAGE_PICTURE_AFTER").map_or(15, |seconds| seconds.parse().unwrap());
    tokio::time::sleep(Duration::from_secs(after)).await;
    let browser = Browser::start().await;
    browser.open(&admin).await;
    // With traffic of every kind, every card has data. The line below the requests says that there are more than ten.
    let noted = "['now-none', 'requests-none'].includes(one.id)";
    browser
        .until(&format!("[...document.querySelectorAll('.none')].every((one) => one.hidden || {noted})"))
        .await;
    assert_eq!(browser.complaints().await, [""; 0]);
    println!("the browser's own CPU time a refresh, ms: {:?}", cost(&browser).await);

    let size = json!({"width": 1200, "height": 800, "deviceScaleFactor": 1, "mobile": false});
    browser.command("Emulation.setDeviceMetricsOverride", size).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let height = browser.value("document.documentElement.scrollHeight").await.as_f64().unwrap();
    let clip = json!({"x": 0, "y": 0, "width": 1200, "height": height, "scale": 1});
    let shot = json!({"format": "webp", "quality": 80, "clip": clip, "captureBeyondViewport": true});
    let picture = browser.command("Page.captureScreenshot", shot).await;
    let encoded = picture["data"].as_str().unwrap();
    assert!(encoded.len() > 20_000, "{} characters are no page", encoded.len());
    fs::write(env!("CARGO_TARGET_TMPDIR").to_owned() + "/page.webp.base64", encoded).unwrap();
}
