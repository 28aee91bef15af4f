//! The page of `report --format html`, opened as a file.

use std::fs;

use serde_json::json;

use super::{browser::Browser, made_up, process::scratch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn report_opens_offline_fits_and_prints() {
    let folder = scratch();
    let file = folder.path().join("report.html");
    fs::write(&file, made_up::report().html()).unwrap();
    let browser = Browser::start().await;
    browser.command("Network.enable", json!({})).await;
    let offline = json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0});
    browser.command("Network.emulateNetworkConditions", offline).await;
    browser.visit(&format!("file://{}", file.display())).await;
    browser.until("document.readyState === 'complete'").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    assert_eq!(browser.value("performance.getEntriesByType('resource').length").await, 0);
    assert_eq!(browser.value("document.scripts.length").await, 0);

    // Every plot has a size and stays within the page, and none of its texts extends beyond the picture.
    assert_eq!(browser.value("document.querySelectorAll('figure svg').length").await, 8);
    let outside = "[...document.querySelectorAll('figure')].filter((figure) => {
        const picture = figure.querySelector('svg').getBoundingClientRect();
        const texts = [...figure.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
        return picture.width < 300 || picture.height < 60 || picture.right > innerWidth ||
            texts.some((text) => text.left < picture.left - 1 || text.right > picture.right + 1);
    }).map((figure) => figure.querySelector('strong').innerText)";
    assert_eq!(browser.value(outside).await, json!([]));
    // On a phone, wide tables scroll in their own frames, not the page.
    for (width, height) in [(1280, 900), (400, 800)] {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.command("Emulation.setDeviceMetricsOverride", size).await;
        let fits = browser.value("document.documentElement.scrollWidth <= innerWidth").await;
        assert_eq!(fits, true, "at {width}");
    }

    let printed = browser.command("Page.printToPDF", json!({"preferCSSPageSize": true})).await;
    // Base64: "%PDF-".
    let printed = printed["data"].as_str().unwrap();
    assert!(printed.starts_with("JVBERi0") && printed.len() > 50_000, "{} letters", printed.len());
}
