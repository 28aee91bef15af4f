//! Divides the instructions of a whole path among the layers of the sidecar, so that a layer that costs more is named.

use std::collections::HashMap;

/// The scenarios that are divided.
pub(super) const DIVIDED: [&str; 4] =
    ["chunk-sidecar", "chunk-instrumented", "request-sidecar", "request-instrumented"];

/// Each layer, and parts of the names of its functions. A function belongs to the first layer with a part of its name.
/// Functions that the compiler merged into their caller belong to the layer of the caller.
const LAYERS: [(&str, &[&str]); 11] = [
    ("in clock", &["clock_gettime", "Timespec", "time::Instant", "SystemTime"]),
    ("in protocol", &["::protocol::", "memchr"]),
    ("in histograms", &["istogram"]),
    ("in meter", &["streamgauge_meter::meter"]),
    ("in shaping", &["::shaping::"]),
    (
        "in wrappers",
        &["streamgauge::proxy", "streamgauge::connection", "streamgauge::upstream", "streamgauge_tls"],
    ),
    ("in sidecar", &["streamgauge"]),
    ("in hyper", &["hyper", "httparse"]),
    ("in tokio", &["tokio", "mio::"]),
    ("in allocations", &["malloc", "calloc", "realloc", "free", "alloc::"]),
    ("in copies", &["memcpy", "memmove", "memset"]),
];
/// All others.
const REST: &str = "in the rest";

/// The instructions that the functions of each layer took themselves, from a profile of callgrind.
pub(super) fn instructions(graph: &str) -> HashMap<&'static str, u64> {
    let mut layers: HashMap<_, _> = LAYERS.iter().map(|(layer, _)| (*layer, 0)).collect();
    layers.insert(REST, 0);
    let (mut names, mut layer, mut is_of_call) = (HashMap::new(), REST, false);
    for line in graph.lines() {
        if let Some((function, is_own)) = (line.strip_prefix("fn=").map(|function| (function, true)))
            .or_else(|| line.strip_prefix("cfn=").map(|function| (function, false)))
        {
            // A name is written once, as `fn=(7) name`, and is `fn=(7)` from then on.
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, of(name));
            }
            if is_own {
                layer = names.get(id).copied().unwrap_or(REST);
            }
        } else if line.starts_with("calls=") {
            is_of_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // The line after a call is what the called function took.
            if !std::mem::take(&mut is_of_call) {
                let own = line.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
                *layers.entry(layer).or_default() += own;
            }
        }
    }
    layers
}

fn of(function: &str) -> &'static str {
    let is_in = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
    LAYERS.iter().find(|(_, parts)| is_in(parts)).map_or(REST, |(layer, _)| layer)
}
