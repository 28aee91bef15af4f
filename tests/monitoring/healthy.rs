//! What fires while nothing is wrong.

use std::{collections::BTreeSet, env, time::Duration};

use serde_json::json;

use super::stack::Stack;

/// The alerts that the demo fires on purpose, because one of its clients meets faults.
const INTENDED: [&str; 1] = ["StreamgaugeFailures"];

/// Clients that read at once, with a pause after each answer.
async fn steady(proxy: &str) {
    let client = reqwest::Client::new();
    let ask = async |words: usize| {
        let body = json!({"model": "sim", "prompt": "why ".repeat(words), "options": {"num_predict": 60}});
        let request = client.post(format!("http://{proxy}/api/generate")).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    };
    loop {
        tokio::join!(ask(20), ask(100));
        ask(50).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// `HEALTHY_DEMO_MINUTES=30` is long enough for every alert. `just healthy-demo` sets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus; tests/real/install.sh"]
async fn healthy_demo_fires_no_alert_but_those_that_it_intends() {
    let minutes = env::var("HEALTHY_DEMO_MINUTES").map_or(2, |minutes| minutes.parse().unwrap());
    let stack = Stack::start(&["--model", "sim"], "max_streams = 4", None, true).await;
    tokio::select! {
        () = steady(&stack.proxy) => {}
        () = tokio::time::sleep(Duration::from_secs(60 * minutes)) => {}
    }
    let demo = stack.demo.clone().unwrap();
    // Both have traffic, and Prometheus evaluates the rules.
    let ended = "count by (instance) (increase(streamgauge_requests_total{outcome=\"complete\"}[1m]) > 0)";
    let states =
        format!("count by (alertname, instance, alertstate) (count_over_time(ALERTS[{}m]))", minutes + 5);
    for (ended, states) in stack.servers.each(ended).await.iter().zip(stack.servers.each(&states).await) {
        assert_eq!(ended.len(), 2, "{}", stack.logs());
        let of = |one: &serde_json::Value, label: &str| {
            one["metric"][label].as_str().unwrap_or_default().to_owned()
        };
        let seen: BTreeSet<_> = states
            .iter()
            .map(|one| [of(one, "alertname"), of(one, "instance"), of(one, "alertstate")])
            .collect();
        println!("{minutes} min: {seen:?}");
        let unintended: Vec<_> = seen
            .iter()
            .filter(|[name, instance, state]| {
                state == "firing" && !(*instance == demo && INTENDED.contains(&name.as_str()))
            })
            .collect();
        assert!(unintended.is_empty(), "{unintended:?}\n{}", stack.logs());
        // The failures of the demo fire a minute after they have begun.
        let fails = [INTENDED[0].to_owned(), demo.clone(), "firing".to_owned()];
        assert!(seen.contains(&fails), "the rules are not evaluated: {seen:?}");
    }
}
