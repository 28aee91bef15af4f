//! The sentences of the verdict and the marks that go with them, for figures that a test sets.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate as simulate;

use super::{
    browser::Browser,
    sidecar::{Sidecar, config, simulator},
};

/// One upstream with a loaded model, and a stream that began 100 s ago there and waits for its first record.
const BASE: &str = r#"
    const kept = newest;
    newest = structuredClone(kept);
    const [upstream] = newest.upstreams, whole = newest.window;
    Object.assign(upstream, { alive: true, wedged: false, loaded: ["m"], since_chunk_seconds: null });
    newest.loads = [];
    newest.requests = [];
    const stream = (fields) => ({ id: "s1", model: "m", route: "chat", caller: "editor", upstream: "gpu0", age_seconds: 100,
      records: 0, tokens: 0, time_to_first_token_seconds: null, gap_p50_seconds: null, gap_p99_seconds: null,
      client_backpressure_seconds: 0, silent_seconds: null, queue_position: null, ...fields });
    const sends = { records: 9, tokens: 9, silent_seconds: 0.1, time_to_first_token_seconds: 0.1 };
    const left = { id: "r1", route: "chat", caller: "webui", model: "m", upstream: "gpu0", outcome: "client_abort", failed: false, finish: null,
      status: null, reason: "the client disconnected", time_to_first_token_seconds: null, duration_seconds: 300, ago_seconds: 90, prompt_cut: false };
"#;

async fn page() -> (Sidecar, Browser) {
    let quick = simulate::Config { load_time: Duration::ZERO, ..simulate::Config::default() };
    let sidecar = Sidecar::start(config(simulator(quick))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    browser.until("newest.window && newest.upstreams[0].alive").await;
    (sidecar, browser)
}

/// The value of `shown` after the page has drawn the changed figures.
async fn drawn(browser: &Browser, change: &str, shown: &str) -> Value {
    let steps = format!(
        "(() => {{ {BASE} try {{ {change}; figures(); tables(); running(); draw(); verdict(null); return {shown}; }} \
         finally {{ newest = kept; }} }})()"
    );
    browser.value(&steps).await
}

/// The reasons, each with its level.
async fn reasons(browser: &Browser, change: &str) -> Vec<String> {
    let said = drawn(browser, change, "reasons().map(([level, text]) => level + ': ' + text)").await;
    said.as_array().unwrap().iter().map(|one| one.as_str().unwrap().replace('\u{202f}', " ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_says_that_upstream_hangs_if_its_model_is_loaded_and_no_token_comes() {
    let (_sidecar, browser) = page().await;
    let waits = "newest.streams.shown = [stream({}), stream({ id: 's2', caller: 'notebook' })]; newest.requests = [left]";
    let said = reasons(&browser, waits).await;
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "bad: gpu0 hangs: no request there got a byte for ",
        "2 requests wait there without a token, the oldest for 1 min 40 s, and 1 client gave up, ",
        "gave up, 1 min 30 s ago after a wait of 5 min. It answers probes",
        "has m in memory and sends nothing; ",
        "The callers are editor, notebook and webui. Restart Ollama on gpu0, and read its log.",
    ] {
        let row = "newest.range_totals.upstreams = [{ name: 'gpu0', requests: 1, failed: 0, loads: 0 }]";
        let said = reasons(&browser, &format!("{waits}; {row}")).await;
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
    let marks = "[document.querySelector('#upstreams li').className, document.querySelector('#upstreams li').innerText, \
                 document.querySelector('#upstreams-table tbody td').innerText]";
    let marks = drawn(&browser, waits, marks).await;
    assert_eq!((&marks[0], &marks[2]), (&json!("down"), &json!("hangs")));
    assert!(marks[1].as_str().unwrap().contains("hangs, answers probes"), "{marks}");

    // Another stream gets tokens: Ollama queues. The model is not loaded: it may load.
    for other in [
        "newest.streams.shown = [stream({}), stream({ id: 's2', ...sends })]",
        "newest.streams.shown = [stream({ model: 'another' })]",
    ] {
        let said = reasons(&browser, other).await;
        assert!(!said.iter().any(|one| one.contains("hangs:")), "{said:?}");
        assert!(said[0].contains("has no first record") && said[0].contains("caller editor"), "{said:?}");
    }
    // Requests that were completed meanwhile show that the upstream works again.
    let recovered = "newest.requests = [left]; \
                     newest.range_totals.upstreams = [{ name: 'gpu0', requests: 9, failed: 0, loads: 0 }]";
    let said = reasons(&browser, recovered).await;
    assert!(said.len() == 1 && said[0].contains("gave up without a token"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_tells_one_silent_request_from_an_upstream_that_hangs() {
    let (_sidecar, browser) = page().await;
    let alone = |fields: &str| {
        format!("upstream.since_chunk_seconds = 300; newest.streams.shown = [stream({{ {fields} }})]")
    };
    let said = reasons(&browser, &alone("prompt_bytes: 480 * 1024")).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        said[0],
        "warn: gpu0 has been silent for 1 min 40 s: its only request waits for the first token. Model: m, in memory. \
         The caller is editor. The prompt has up to 480 KiB: Ollama may still evaluate it. If a short request waits too, \
         Ollama hangs: restart it."
    );
    let marks = "[document.querySelector('#upstreams li').className, document.querySelector('#upstreams li').innerText, \
                 document.querySelector('#upstreams-table tbody td').innerText]";
    let marks = drawn(&browser, &alone(""), marks).await;
    assert_eq!((&marks[0], &marks[2]), (&json!("quiet"), &json!("silent for 1\u{202f}min 40\u{202f}s")));
    assert!(marks[1].as_str().unwrap().contains("is silent for"), "{marks}");
    let said = reasons(&browser, &alone("prompt_bytes: 900, age_seconds: 301")).await;
    assert!(said[0].starts_with("bad: gpu0 has been silent for 5 min: "), "{said:?}");
    assert!(said[0].contains("up to 900 B: its evaluation hardly takes this long."), "{said:?}");

    // The clients of a wedged upstream have left.
    let said = reasons(&browser, "upstream.wedged = true; upstream.wedged_seconds = 70").await;
    assert!(said[0].contains("for far longer than usual. ") && !said[0].contains("caller"), "{said:?}");

    // Something came since the requests began: two of them wait, and the upstream does not hang.
    let others =
        "upstream.since_chunk_seconds = 2; newest.streams.shown = [stream({}), stream({ id: 's2' })]";
    let said = reasons(&browser, others).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("while other requests there get tokens, the last 2 s ago: gpu0 does not hang."),
        "{said:?}"
    );
    let said = reasons(&browser, &others.replace("= 2;", "= 61;")).await;
    assert!(said[0].contains("gpu0 hangs: ") && said[0].contains("got a byte for 1 min 1 s."), "{said:?}");
    // A response that is not a stream comes at its end.
    let whole = alone("streamed: false").replace("[stream(", "[stream({ streamed: false }), stream(");
    assert_eq!(reasons(&browser, &whole).await, [""; 0]);
    let long =
        whole.replace("streamed: false }", "streamed: false, age_seconds: 400 }").replace("= 300;", "= 350;");
    let said = reasons(&browser, &long).await;
    let told = "warn: 2 requests at gpu0 that are not streamed have waited for up to 6 min 40 s, and nothing came from gpu0 for 5 min 50 s.";
    assert!(said.len() == 1 && said[0].starts_with(told), "{said:?}");
    let since = "newest.requests = [left]; upstream.since_chunk_seconds = 20";
    let said = reasons(&browser, since).await;
    assert!(said.len() == 1 && said[0].contains("gpu0 has sent tokens since."), "{said:?}");
    // No load takes so long.
    let long = "upstream.loaded = []; newest.streams.shown = [stream({ age_seconds: 400 }), stream({ id: 's2', age_seconds: 350 })]";
    let said = reasons(&browser, long).await;
    assert!(said[0].starts_with("bad: gpu0 hangs: ") && !said[0].contains("in memory"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_names_the_callers_after_whose_requests_a_model_is_loaded_again() {
    let (_sidecar, browser) = page().await;
    let loads = |cause: &str, fields: &str| {
        format!(
            "newest.span_seconds = 600; newest.range_totals = {{ callers: [], upstreams: [], models: \
             [{{ name: 'm', requests: 20, failed: 0, loads: 9, load_cause: '{cause}', output_tokens: 1 }}] }}; \
             const load = {{ ago_seconds: 9, model: 'm', upstream: 'gpu0', cause: '{cause}', caller: 'webui', earlier_caller: null, \
             expired_after_seconds: null, evicted_by: null }}; \
             newest.loads = [{{ ...load, {fields} }}, {{ ...load, {fields} }}, load, {{ ...load, ago_seconds: 900, {fields} }}]"
        )
    };
    for (cause, fields, told) in [
        (
            "expired",
            "earlier_caller: 'notebook', expired_after_seconds: 0",
            "Of the last 3 loads, 2 came after a request of caller notebook with keep_alive 0 s.",
        ),
        (
            "evicted",
            "earlier_caller: 'batch', evicted_by: 'qwen'",
            "Of the last 3 loads, 2 came after a load of qwen for caller batch.",
        ),
        (
            "context",
            "earlier_caller: 'batch'",
            "Of the last 3 loads, 2 came after a change from caller batch to caller webui.",
        ),
    ] {
        let said = reasons(&browser, &loads(cause, fields)).await;
        assert!(said.len() == 1 && said[0].contains(told), "{said:?}");
        assert!(said[0].contains(" at gpu0."), "{said:?}");
    }
    // First loads explain late tokens, and are no problem.
    let late = "whole.first_token.p95 = 5; for (const name in whole.outcomes) whole.outcomes[name] = 0; whole.outcomes.complete = 20";
    let first = loads("first", "").replace("loads: 9", "loads: 1");
    let said = reasons(&browser, &format!("{late}; {first}")).await;
    assert!(said.len() == 1 && said[0].starts_with("note: TTFT p95 is 5 s"), "{said:?}");
    assert!(said[0].contains("1 model for the first time, 3 loads"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_tells_caller_over_its_limit_from_a_full_queue_and_says_why_the_state_is_healthy() {
    let (_sidecar, browser) = page().await;
    let counts = "newest.span_seconds = 600; for (const name in whole.outcomes) whole.outcomes[name] = 0; \
                  Object.assign(whole.outcomes, { complete: 100, refused: 100 }); whole.first_token.p95 = 0.1; whole.gap.p99 = 0.1; \
                  const caller = { failed: 0, refused: 0, prompt_tokens: 1, output_tokens: 1 }; \
                  newest.range_totals = { models: [], upstreams: [], callers: [{ ...caller, name: 'batch', requests: 150, refused: 100, \
                  limits_per_second: { requests: 5 / 60 } }, { ...caller, name: 'webui', requests: 50 }], refusals: {} }";
    let refused =
        |reason: &str, n: u32| format!("{counts}; newest.range_totals.refusals = {{ {reason}: {n} }}");
    let state = "[document.getElementById('state').innerText, document.getElementById('verdict').className]";
    let over = refused("requests", 100);
    let said = reasons(&browser, &over).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        said[0],
        "limit: Caller batch is over its limit of 5 requests/min: it sent 150 requests in the last 10 min, which is \
         15/min, and 100 of them were refused with status 429. The limit works as it is set, and no other caller is refused. \
         To change this, slow batch down, or raise the limit of its key."
    );
    assert_eq!(
        drawn(&browser, &over, state).await,
        json!(["Working, and a caller is over its limit", "warn"])
    );
    let both = "newest.range_totals.callers[0].limits_per_second.tokens = 5000 / 3600";
    for (reason, limit) in [("tokens", "5,000 tokens/h"), ("requests", "5 requests/min")] {
        let said = reasons(&browser, &format!("{}; {both}", refused(reason, 100))).await;
        assert!(
            said[0].starts_with(&format!("limit: Caller batch is over its limit of {limit}: ")),
            "{said:?}"
        );
    }
    for (reason, told) in [
        ("queue_full", "100 requests found the queue full or waited there too long"),
        ("unknown_key", "100 requests without a valid key got status 401"),
        ("model", "100 requests asked for a model or a route that the key does not allow"),
    ] {
        let said = reasons(&browser, &refused(reason, 100)).await;
        assert!(said.len() == 1 && said[0].starts_with(&format!("warn: {told}")), "{said:?}");
    }
    let said = reasons(&browser, &refused("shared", 100)).await;
    let told = "bad: 100 requests got status 503 in the last 10 min, because the store of shared limits does not answer";
    assert!(said.len() == 1 && said[0].starts_with(told), "{said:?}");
    let why = "document.getElementById('why').textContent.replaceAll('\u{202f}', ' ')";
    assert_eq!(drawn(&browser, &over, why).await, "");
    let healthy = format!("{counts}; whole.outcomes.refused = 0");
    assert_eq!(
        drawn(&browser, &healthy, why).await,
        "The upstream answers; of 100 requests in the last 10 min none failed, TTFT p95 is 100 ms (limit 2.5 s), \
         gap p99 is 100 ms (limit 250 ms). No stream runs now."
    );
    let failed = counts
        .replace("refused: 100 }); w", "truncated: 100 }); w")
        .replace("'webui', ", "'webui', failed: 100, ");
    let failed = failed.replace("requests: 50 }", "requests: 50, failed: 100 }");
    let said = reasons(&browser, &failed).await;
    assert!(said[0].contains("(50 %). Caller: webui (100). This Ollama is simulated"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_lists_requests_without_a_model_or_an_upstream_after_the_others() {
    let (_sidecar, browser) = page().await;
    let rows = "const row = (name, requests) => ({ name, requests, failed: 0, loads: 0, output_tokens: 0, \
                first_token_p50_seconds: null, first_token_p95_seconds: null }); \
                newest.range_totals.models = [row('unknown', 90), row('m', 9)]; \
                newest.range_totals.upstreams = [row('none', 90), row('gpu0', 9)]";
    let names = "['models', 'upstreams'].flatMap((id) => \
                 [...document.querySelectorAll(`#${id}-table tbody tr`)].map((row) => row.cells[0].innerText))";
    assert_eq!(
        drawn(&browser, rows, names).await,
        json!(["m", "no model was read", "gpu0", "no upstream was chosen"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_compares_no_stream_with_a_lone_one_that_was_held_up_and_says_where_the_gpus_are() {
    let (_sidecar, browser) = page().await;
    let curve = |alone: u32| {
        format!(
            "whole.curve = [{{ streams: 1, tokens_per_second: {alone}, seconds: 60 }}, \
             {{ streams: 4, tokens_per_second: 120, seconds: 60 }}]; newest.missing.curve = null"
        )
    };
    let head = "document.getElementById('curve-headline').textContent.replaceAll('\u{202f}', ' ')";
    assert_eq!(drawn(&browser, &curve(40), head).await, "4 streams: 3 × one stream alone.");
    assert_eq!(
        drawn(&browser, &curve(10), head).await,
        "No comparison with one stream alone, since a client or an upstream held such streams up."
    );
    // The label of a level is a number of streams, also if the mean of its streams is not.
    let axis = "[...document.querySelectorAll('#curve-card .at span')].map((one) => one.textContent)";
    let levels = drawn(&browser, &curve(40).replace("streams: 4,", "streams: 5.14,"), axis).await;
    assert_eq!(levels, json!(["1", "5"]));
    let held = "document.getElementById('curve-held').textContent";
    let mute = format!("{}; newest.streams.shown = [stream({{ ...sends, silent_seconds: 40 }})]", curve(40));
    let shown = drawn(&browser, &mute, held).await;
    assert!(
        shown.as_str().unwrap().starts_with("1 stream that got nothing for 30 s counts as decoding"),
        "{shown}"
    );
    let place = "document.getElementById('gpu-place').textContent";
    let shown = drawn(&browser, "", place).await;
    assert!(shown.as_str().unwrap().ends_with("Upstreams at a loopback address: gpu0."), "{shown}");
    let shown = drawn(&browser, "upstream.address = 'ollama:11434'", place).await;
    assert!(shown.as_str().unwrap().ends_with("the upstreams may use other GPUs."), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_shows_single_points_and_sixteen_models_with_long_names_without_a_scroll() {
    let (_sidecar, browser) = page().await;
    let point = "points = [0, 1, 2].map((n) => Object.keys(columns).map((name) => \
                 name === 'seconds' ? 10 * n : name.startsWith('first_token') && n === 1 ? 0.5 : null)); newest.now = null; \
                 whole.first_token.p50 = 0.5; newest.missing.first_token = null";
    let dots = "[...document.querySelectorAll('#first_token-card path.lone')].map((one) => [one.getAttribute('d').endsWith('l0 0'), \
                getComputedStyle(one).strokeWidth, getComputedStyle(one).strokeDasharray])";
    let kept = browser.value("points.length").await;
    let shown = drawn(&browser, &format!("window.kept_points = points; {point}"), dots).await;
    assert_eq!(shown, json!([[true, "6px", "none"], [true, "6px", "none"]]), "{kept} points were there");
    browser.value("(points = window.kept_points).length").await;

    let screen = json!({"width": 1600, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser.command("Emulation.setDeviceMetricsOverride", screen).await;
    browser.until("innerWidth === 1600").await;
    let models = "const names = Array.from({ length: 16 }, (_, n) => `model-with-a-long-name-${n}:70b-instruct-q4_K_M`); \
                  upstream.loaded = names; newest.range_totals.models = names.map((name) => ({ name, requests: 99, failed: 0, loads: 9, \
                  output_tokens: 99999, first_token_p50_seconds: 0.123, first_token_p95_seconds: 0.456 }))";
    let wide = "[document.getElementById('models-table').scrollWidth - document.getElementById('models-table').clientWidth, \
                document.getElementById('models-none').innerText, document.querySelector('#upstreams li').innerText.split(' and ')[1]]";
    assert_eq!(
        drawn(&browser, models, wide).await,
        json!([0, "The ten with the most requests of 16. /metrics has all of them.", "12 more"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_says_the_cause_before_the_symptoms() {
    let (_sidecar, browser) = page().await;
    let late = "whole.first_token.p95 = whole.hidden.p95 = 5; whole.gap.p50 = 0.2; whole.gap.p99 = 0.3";
    let said = reasons(&browser, late).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("TTFT p95 is 5 s, above 2.5 s, and gap p99 is 300 ms, above 250 ms"),
        "{said:?}"
    );
    assert!(said[0].ends_with("Ollama has fewer slots than requests."), "{said:?}");

    let hot = "newest.gpus = [{ gpu: '0', name: 'GPU', utilization: 1, watts: 1, memory_used: null, memory_total: null, \
               celsius: 92, clock_limits: ['hw_slowdown'] }]";
    let said = reasons(&browser, &format!("{late}; {hot}")).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]
            .starts_with("bad: GPU 0 is slowed down by its temperature or its power supply (92 °C), so that"),
        "{said:?}"
    );
    assert!(said[0].contains("Meanwhile TTFT p95 is 5 s") && !said[0].contains("slots"), "{said:?}");

    let slow = "newest.streams.shown = [stream({ ...sends, client_backpressure_seconds: 96 }), \
                stream({ ...sends, id: 's2', client_backpressure_seconds: 96 })]";
    for (timeout, told) in [
        (120, "is disconnected after 2 min (proxy.client_stall_timeout)"),
        (0, "proxy.client_stall_timeout is off"),
    ] {
        let change = format!("{late}; {slow}; newest.clients.stall_timeout_seconds = {timeout}");
        let said = reasons(&browser, &change).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("warn: 2 streams of caller editor hold 2 slots of gpu0"), "{said:?}");
        assert!(said[0].contains(told) && !said[0].contains("fewer slots"), "{said:?}");
    }
    assert_eq!(browser.value("newest.clients.stall_timeout_seconds").await, 120.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_names_lag_only_if_it_is_large_beside_the_gaps() {
    let (_sidecar, browser) = page().await;
    let tile = "document.getElementById('lag-p99').className";
    let figures = |lag: f64, p50: f64, p99: f64| {
        format!(
            "whole.lag.p99 = {lag}; whole.gap.p50 = {p50}; whole.gap.p99 = {p99}; whole.first_token.p95 = 0.1"
        )
    };
    let small = figures(0.0217, 0.2, 0.24);
    assert_eq!(reasons(&browser, &small).await, [""; 0]);
    assert_eq!(drawn(&browser, &small, tile).await, "");

    let harmless = figures(0.0217, 0.025, 0.04);
    let said = reasons(&browser, &harmless).await;
    assert!(
        said.len() == 1 && said[0].starts_with("note: The machine of the sidecar lacks CPU time"),
        "{said:?}"
    );
    let state = format!("[document.getElementById('verdict').className, {tile}]");
    assert_eq!(drawn(&browser, &harmless, &state).await, json!(["good", "note"]));

    let said = reasons(&browser, &figures(0.3, 0.025, 0.4)).await;
    assert!(said.len() == 2 && said[1].starts_with("warn: The machine of the sidecar"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_marks_refusals_and_clients_that_gave_up_and_says_none_where_none_is() {
    let (_sidecar, browser) = page().await;
    let counts = "for (const name in whole.outcomes) whole.outcomes[name] = 0; \
                  Object.assign(whole.outcomes, { complete: 9, refused: 80, client_abort: 10 })";
    let marks = "[document.getElementById('refused').className, ...[...document.querySelectorAll('#outcomes-table tbody tr')]\
                 .map((row) => row.cells[0].innerText + ' ' + row.cells[2].className)]";
    let shown = drawn(&browser, counts, marks).await;
    assert_eq!(shown, json!(["warn", "refused number warn", "client abort number", "complete number"]));
    let shown = drawn(&browser, &format!("{counts}; newest.requests = [left]"), marks).await;
    assert_eq!(shown[2], "client abort number bad");
    assert_eq!(browser.value("columns.refused > 0").await, true);

    let none = "document.getElementById('requests-none').innerText";
    let shown = drawn(&browser, "", none).await;
    assert!(shown.as_str().unwrap().starts_with("None in the last"), "{shown}");
    let shown = drawn(&browser, "newest.requests = [{ ...left, ago_seconds: 4000 }]", none).await;
    assert!(shown.as_str().unwrap().ends_with("/requests lists earlier ones."), "{shown}");
    let shown =
        drawn(&browser, "upstream.loaded = []", "document.querySelector('#upstreams li').innerText").await;
    assert!(shown.as_str().unwrap().ends_with(", no model loaded"), "{shown}");
    let silent = "[...document.querySelectorAll('#now-table tbody td')].find((one) => one.dataset.name === 'silent for').innerText";
    let shown =
        drawn(&browser, "newest.streams.shown = [stream({})]; newest.streams.running = 1", silent).await;
    assert_eq!(shown, "1\u{202f}min 40\u{202f}s");
    let level =
        "whole.curve = [{ streams: 1, tokens_per_second: 40, seconds: 60 }]; newest.missing.curve = null";
    let shown = drawn(&browser, level, "document.getElementById('curve-headline').textContent").await;
    assert_eq!(shown, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_on_a_phone_shows_each_row_without_a_scroll() {
    let (_sidecar, browser) = page().await;
    let change = "newest.requests = [left]; newest.streams.running = 1; newest.streams.shown = [stream({ ...sends })]; \
                  newest.range_totals.callers = [{ name: 'editor', requests: 9, failed: 0, refused: 0, prompt_tokens: 9, output_tokens: 9 }]";
    let wider = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.id)";
    for width in [360, 400] {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": true});
        browser.command("Emulation.setDeviceMetricsOverride", screen).await;
        browser.until(&format!("innerWidth === {width}")).await;
        assert_eq!(drawn(&browser, change, wider).await, json!([]), "at {width} pixels");
        let order = "[...document.querySelector('#requests-table tbody tr').cells].slice(0, 3).map((one) => one.dataset.name)";
        assert_eq!(drawn(&browser, change, order).await, json!(["ended", "caller", "reason"]));
    }
}
