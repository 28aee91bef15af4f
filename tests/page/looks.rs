//! Dark mode, a phone, reduced motion, and a screen reader.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate as simulate;

use super::{
    browser::Browser,
    process::cache,
    sidecar::{Sidecar, config, simulator},
    wait::until_async,
};

/// The WCAG contrast ratio of two custom properties of the page.
const CONTRAST: &str = "((one, two) => {
    const channels = (name) => {
        const probe = document.createElement('p');
        probe.style.color = `var(${name})`;
        document.body.append(probe);
        const channels = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
        probe.remove();
        return channels;
    };
    const light = (name) => {
        const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = channels(name).map(linear);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = [light(one), light(two)].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
})";

async fn drawn() -> (Sidecar, Browser) {
    let quick = simulate::Config { rate: 100.0, load_time: Duration::ZERO, ..simulate::Config::default() };
    let sidecar = Sidecar::start(config(simulator(quick))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    sidecar.chat("sim", "").await;
    sidecar.chat("sim", "").await;
    browser.until("document.getElementById('ended').value === '2'").await;
    browser.until("document.querySelector('#curve-card svg path.dot')").await;
    (sidecar, browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_is_readable_in_dark_and_light_theme() {
    let (_sidecar, browser) = drawn().await;
    let mut pages = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.command("Emulation.setEmulatedMedia", json!({"features": features})).await;
        pages.push(browser.value("getComputedStyle(document.body).backgroundColor").await);
        // WCAG 2.2 requires 4.5 for text and 3 for lines.
        for (one, two, least) in [
            ("--text", "--page", 4.5),
            ("--text", "--card", 4.5),
            ("--soft", "--card", 4.5),
            ("--soft", "--page", 4.5),
            ("--good", "--card", 4.5),
            ("--warn", "--card", 4.5),
            ("--bad", "--card", 4.5),
            ("--card", "--one", 4.5),
            ("--one", "--card", 4.5),
            ("--one", "--page", 4.5),
            ("--two", "--card", 3.0),
        ] {
            let ratio = browser.value(&format!("{CONTRAST}('{one}', '{two}')")).await.as_f64().unwrap();
            assert!(ratio >= least, "{scheme}: {one} on {two} has {ratio:.2}");
        }
    }
    assert_ne!(pages[0], pages[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_fits_every_width_without_cut_text() {
    let (_sidecar, browser) = drawn().await;
    // Tables scroll inside their card. Nothing else is wider than its box.
    let cut = "[...document.querySelectorAll('body *')].filter((one) => !one.closest('svg, legend, .scroll') && \
               one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')\
               .map((one) => one.tagName + ' ' + one.id + ' ' + one.innerText)";
    for width in [360, 768, 1280, 1920] {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.command("Emulation.setDeviceMetricsOverride", screen).await;
        browser.until(&format!("innerWidth === {width}")).await;
        let sticks_out = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.value(sticks_out).await, 0, "at {width} pixels");
        assert_eq!(browser.value(cut).await, json!([]), "at {width} pixels");
        if width == 360 {
            let edges = "new Set([...document.querySelectorAll('section')].filter((one) => !one.hidden)\
                         .map((one) => one.offsetLeft)).size";
            assert_eq!(browser.value(edges).await, 1, "one column");
        }
        let small = "[...document.querySelectorAll('button, nav a, fieldset label')]\
                     .filter((one) => one.offsetParent && one.offsetHeight < 24).length";
        assert_eq!(browser.value(small).await, 0, "what is tapped has 24 pixels");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_respects_reduced_motion() {
    let (_sidecar, browser) = drawn().await;
    let moving = "getComputedStyle(document.getElementById('main')).transitionProperty";
    let motion = async |value: &str| {
        let features = json!([{"name": "prefers-reduced-motion", "value": value}]);
        browser.command("Emulation.setEmulatedMedia", json!({"features": features})).await;
    };
    motion("no-preference").await;
    assert_eq!(browser.value(moving).await, "opacity");
    motion("reduce").await;
    assert_eq!(browser.value(moving).await, "all", "which is for 0 s");
    browser.until("document.getAnimations().length === 0").await;
    let greyed = "(document.body.classList.toggle('old'), getComputedStyle(document.getElementById('main')).opacity, \
                  document.getAnimations().length)";
    assert_eq!(browser.value(greyed).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_elements_have_accessible_names_and_updates_can_be_paused() {
    let (sidecar, browser) = drawn().await;
    let tree = browser.command("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| {
        let role = |node: &&Value| node["ignored"] == false && node["role"]["value"] == role;
        let name = |node: &Value| node["name"]["value"].as_str().unwrap_or_default().to_owned();
        nodes.iter().filter(role).map(name).collect::<Vec<_>>()
    };
    for (role, least) in [
        ("image", 7),
        ("button", 1),
        ("radio", 3),
        ("link", 5),
        ("navigation", 1),
        ("region", 10),
        ("heading", 11),
    ] {
        let names = named(role);
        assert!(names.len() >= least, "{role}: {names:?}");
        assert!(names.iter().all(|name| !name.is_empty()), "{role}: {names:?}");
    }
    let plots = named("image");
    let gap = plots.iter().find(|name| name.contains("How evenly do tokens arrive?")).unwrap();
    assert!(gap.contains("The last 1\u{202f}min, between ") && gap.contains("; now p50 "), "{gap}");
    let curve =
        plots.iter().find(|name| name.starts_with("Tokens per second by concurrent streams: ")).unwrap();
    assert!(curve.contains(" streams ") && curve.contains("/s during "), "{curve}");

    let last = "document.body.dataset.last";
    browser.value("document.getElementById('pause').click()").await;
    assert_eq!(browser.value("document.getElementById('pause').ariaPressed").await, "true");
    // One refresh may have been on its way.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let held = browser.value(last).await;
    let reads =
        async || serde_json::from_str::<Value>(&sidecar.page("/overview").await).unwrap()["last"].as_u64();
    let from = reads().await.unwrap();
    until_async("two more figures", async || reads().await.unwrap() >= from + 2).await;
    assert_eq!(browser.value(last).await, held);
    browser.value("document.getElementById('pause').click()").await;
    browser.until(&format!("{last} !== '{}'", held.as_str().unwrap())).await;
}

/// axe-core finds no violation of WCAG 2.2 AA, in each theme, on a phone and on a wide screen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_has_no_accessibility_violation_that_axe_finds() {
    let (sidecar, browser) = drawn().await;
    sidecar.chat("sim", "truncate").await;
    browser.until("document.getElementById('ended').value === '3'").await;
    let axe = std::fs::read_to_string(cache("node/node_modules/axe-core/axe.min.js")).unwrap();
    browser.script(&axe).await;
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("dark", 360), ("light", 1920)] {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.command("Emulation.setEmulatedMedia", json!({"features": features})).await;
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        browser.command("Emulation.setDeviceMetricsOverride", screen).await;
        browser.until(&format!("innerWidth === {width}")).await;
        browser
            .script(
                "window.found = null; axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', \
                 'wcag22aa', 'best-practice']}).then((result) => { window.found = result; });",
            )
            .await;
        browser.until("window.found").await;
        let violations = "window.found.violations.map((one) => \
                          [one.id, one.help, ...one.nodes.map((node) => node.html + ' ' + node.failureSummary)])";
        assert_eq!(browser.value(violations).await, json!([]), "{scheme}, {width} pixels");
        assert!(browser.value("window.found.passes.length").await.as_u64() > Some(20));
    }
}
