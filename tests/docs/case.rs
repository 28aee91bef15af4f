//! The figures of docs/explanation/case-tr117.md are those of the recordings beside it.

use std::{fs, path::Path, sync::LazyLock};

use serde_json::Value;
use streamgauge::{analysis::Settings, experiment::recording, report::Report};

const PAGE: &str = "docs/explanation/case-tr117.md";

/// The conditions of the tables, by the first cell of their rows.
const PAIRS: [(&str, &str); 12] = [
    ("Rust, different prompts, directly", "rust-unlike"),
    ("Python, different prompts, directly", "python-unlike"),
    ("Rust, same prompt, directly", "rust-alike"),
    ("Python, same prompt, directly", "python-alike"),
    ("Rust, different prompts", "sidecar-rust-unlike"),
    ("Python, different prompts", "sidecar-python-unlike"),
    ("Rust, same prompt", "sidecar-rust-alike"),
    ("Python, same prompt", "sidecar-python-alike"),
    ("Rust, different prompts, one Ollama", "same-rust-unlike"),
    ("Rust, same prompt, one Ollama", "same-rust-alike"),
    ("Python, different prompts, one Ollama", "same-python-unlike"),
    ("Python, same prompt, one Ollama", "same-python-alike"),
];
const REMEDIES: [(&str, &str); 10] = [
    ("none", "python-unlike"),
    ("uvloop", "uvloop"),
    ("orjson", "orjson"),
    ("batches of 50 ms", "batches"),
    ("a read buffer of 64 KiB", "read-buffer"),
    ("one process per agent", "processes"),
    ("paced to 60 tokens/s", "paced"),
    ("through the sidecar", "sidecar-python-unlike"),
    ("through the sidecar, coalesced and merged", "sidecar-merge"),
    ("through the sidecar, paced to 60 tokens/s", "sidecar-paced"),
];

/// The report of a folder beside the page, as JSON.
fn report(name: &str) -> Value {
    let folder = Path::new("docs/explanation/case-tr117").join(name);
    let settings = Settings { resamples: 99, ..Settings::default() };
    let recorded = recording::read_all(&folder, &settings, &mut |_| {}).unwrap();
    serde_json::from_str(&Report::of(recorded, &settings).json()).unwrap()
}

static PHASES: LazyLock<Value> = LazyLock::new(|| report("phases"));
static SCALING: LazyLock<Value> = LazyLock::new(|| report("scaling"));

fn condition<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut conditions = report["conditions"].as_array().unwrap().iter();
    conditions
        .find(|found| found["condition"]["name"] == name)
        .unwrap_or_else(|| panic!("{name} is no condition"))
}

/// Formats a number for the page. An end that rounds to 100 % has no decimals.
fn shown(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text == "100.0" { "100".into() } else { text }
}

/// Returns a value with its interval, both multiplied by `scale`.
fn with_interval(value: &Value, interval: &Value, scale: f64, decimals: usize) -> String {
    let number = |value: &Value| shown(scale * value.as_f64().unwrap(), decimals);
    let value = format!("{:.decimals$}", scale * value.as_f64().unwrap());
    match interval {
        Value::Null => value,
        interval => format!("{value} [{} to {}]", number(&interval["low"]), number(&interval["high"])),
    }
}

/// Returns the mean of a measure of a condition.
fn mean(condition: &Value, measure: &str, scale: f64, decimals: usize) -> String {
    let mean = &condition["measures"][measure]["mean"];
    with_interval(&mean["value"], &mean["interval"], scale, decimals)
}

fn speedup(condition: &Value) -> String {
    with_interval(&condition["truth"]["speedup"], &condition["truth"]["interval"], 1.0, 2)
}

fn efficiency(condition: &Value) -> String {
    with_interval(&condition["truth"]["efficiency"], &condition["truth"]["efficiency_interval"], 100.0, 1)
}

/// Compares some cells of the row of a table with what they should be, and describes each difference.
fn compare(section: &str, label: &str, expected: &[(usize, String)], wrong: &mut Vec<String>) {
    let page = fs::read_to_string(PAGE).unwrap();
    let start = page.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("{section} is no section"));
    let text = &page[start + 4..];
    let text = &text[..text.find("\n## ").unwrap_or(text.len())];
    let row = text.lines().find(|line| line.starts_with(&format!("| {label} |")));
    let row = row.unwrap_or_else(|| panic!("{section} has no row {label}"));
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    for (column, expected) in expected {
        let found = cells[column + 1];
        if found != expected {
            wrong.push(format!("{section}, {label}: {found:?} should be {expected:?}"));
        }
    }
}

#[test]
fn tables_of_the_case_have_the_figures_of_its_recordings() {
    let mut wrong = Vec::new();
    for (label, name) in PAIRS {
        let found = condition(&PHASES, name);
        let expected = [
            (1, found["runs"].to_string()),
            (2, mean(found, "overlap_efficiency", 100.0, 1)),
            (3, speedup(found)),
            (4, mean(found, "throughput", 1.0, 0)),
            (6, mean(found, "cpu_per_token", 1e6, 0)),
        ];
        compare("Two agents", label, &expected, &mut wrong);
    }
    for (label, name) in REMEDIES {
        let found = condition(&PHASES, name);
        let expected = [
            (1, efficiency(found)),
            (2, mean(found, "throughput", 1.0, 0)),
            (3, mean(found, "first_token", 1e3, 0)),
            (5, mean(found, "cpu_per_token", 1e6, 0)),
        ];
        compare("The remedies", label, &expected, &mut wrong);
    }
    for (language, title) in [("rust", "Rust"), ("python", "Python")] {
        for agents in [1, 2, 4, 8, 16, 32] {
            let found = condition(&SCALING, &format!("{language}-{agents}"));
            let overlap =
                if agents == 1 { "100.0".into() } else { mean(found, "overlap_efficiency", 100.0, 1) };
            let truth = found["truth"]["efficiency"].as_f64().unwrap();
            let expected = [
                (1, found["runs"].to_string()),
                (2, overlap),
                (3, speedup(found)),
                (4, format!("{:.0}", 100.0 * truth)),
                (5, mean(found, "throughput", 1.0, 0)),
            ];
            compare("Up to 32 agents", &format!("{title}, {agents}"), &expected, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} figures differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the difference and the ends of its interval, all multiplied by `scale`, and the p-value.
fn comparison(condition: &str, measure: &str, scale: f64) -> (f64, f64, f64, f64) {
    let mut comparisons = PHASES["comparisons"].as_array().unwrap().iter();
    let of =
        comparisons.find(|found| found["condition"] == condition && found["measure"] == measure).unwrap();
    let number = |value: &Value| scale * value.as_f64().unwrap();
    let p = of["evidence"]["tested"]["corrected"].as_f64().unwrap_or(f64::NAN);
    (number(&of["difference"]), number(&of["interval"]["low"]), number(&of["interval"]["high"]), p)
}

#[test]
fn sentences_of_the_case_have_the_differences_of_its_recordings() {
    let page = fs::read_to_string(PAGE).unwrap().replace('−', "-");
    let loss = |name: &str| {
        let (difference, low, high, p) = comparison(name, "true_efficiency", -100.0);
        format!("{difference:.0} points ({high:.0} to {low:.0}, p = {p:.4})")
    };
    let (rust, rust_low, rust_high, _) = comparison("python-unlike", "overlap_efficiency", -100.0);
    let (first, first_low, first_high, p_first) = comparison("read-buffer", "first_token", 1e3);
    let (cpu, cpu_low, cpu_high, _) = comparison("python-unlike", "cpu_per_token", 1e6);
    let (merged, merged_low, merged_high, p_merged) = comparison("sidecar-merge", "cpu_per_token", 1e6);
    for sentence in [
        format!("lowers the true efficiency by {}", loss("paced")),
        format!("lowers it by {}", loss("sidecar-paced")),
        format!("overlap efficiency is {rust:.1} points ({rust_high:.1} to {rust_low:.1})"),
        format!("by {first:.0} ms ({first_low:.0} to {first_high:.0}, p = {p_first:.4})"),
        format!("The difference is {cpu:.0} µs ({cpu_low:.0} to {cpu_high:.0})"),
        format!("{merged:.0} µs per token ({merged_low:.0} to {merged_high:.0}, p = {p_merged:.4})"),
        PHASES["advice"]["recommendation"].as_str().unwrap().to_owned(),
    ] {
        assert!(page.contains(&sentence), "the page does not state: {sentence}");
    }
}
