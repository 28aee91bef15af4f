//! The counts of valgrind.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    process::Command,
};

use super::{Result, layer};

/// The repetitions of two runs. The difference of their counts is free of the start of the process.
const FEW: u64 = 100;
const MANY: u64 = 1100;
/// The same for streams that run at the same time.
const FEW_HELD: u64 = 10;
const MANY_HELD: u64 = 110;

/// Functions of the C library, and what their calls are.
const CALLS: [(&str, &[&str]); 3] = [
    (
        "system calls",
        &[
            "recv",
            "send",
            "sendto",
            "recvfrom",
            "sendmsg",
            "writev",
            "read",
            "write",
            "epoll_wait",
            "epoll_ctl",
        ],
    ),
    ("allocations", &["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"]),
    ("clock", &["clock_gettime"]),
];

/// The cost of one repetition: `instructions`, those of each layer, the names in [`CALLS`], or `bytes`.
pub(crate) type Count = BTreeMap<String, f64>;

/// Counts the repetitions of a scenario.
pub(crate) fn run(name: &str) -> Result<Count> {
    Ok(difference(&called(name, FEW)?, called(name, MANY)?, MANY - FEW))
}

/// Counts the bytes that each repetition of a scenario leaves allocated.
pub(crate) fn held(name: &str) -> Result<Count> {
    Ok(difference(&allocated(name, FEW_HELD)?, allocated(name, MANY_HELD)?, MANY_HELD - FEW_HELD))
}

fn difference(few: &HashMap<&'static str, u64>, many: HashMap<&'static str, u64>, times: u64) -> Count {
    let each = many.into_iter().map(|(what, many)| {
        // A count that the repetitions do not change differs by chance, since the start of a process varies a little.
        let one = many.saturating_sub(few[what]) as f64 / times as f64;
        // Instructions and bytes are whole, and the few others have two digits.
        let digits = if one > 1000.0 { 1.0 } else { 100.0 };
        (what.to_owned(), (one * digits).round() / digits)
    });
    each.collect()
}

/// Runs a scenario under a tool of valgrind, and returns what it printed.
fn valgrind(tool: &[&str], name: &str, times: u64) -> Result<String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(tool).arg(env::current_exe()?).args(["run", name, &times.to_string()]);
    let output = valgrind
        .output()
        .map_err(|error| format!("cannot start valgrind: {error}; install Debian's package valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{name}: {said}").into()) }
}

/// The number after `key`, as valgrind prints numbers.
fn number(said: &str, key: &str) -> Option<u64> {
    let (_, rest) = said.split_once(key)?;
    let digits = rest.trim_start().chars().take_while(|char| char.is_ascii_digit() || *char == ',');
    digits.filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

fn allocated(name: &str, times: u64) -> Result<HashMap<&'static str, u64>> {
    let said = valgrind(&["--tool=dhat", "--dhat-out-file=/dev/null"], name, times)?;
    let bytes = number(&said, "At t-end:").ok_or_else(|| format!("{name}: {said}"))?;
    Ok(HashMap::from([("bytes", bytes)]))
}

fn called(name: &str, times: u64) -> Result<HashMap<&'static str, u64>> {
    let file = env::temp_dir().join(format!("callgrind-{}-{name}", std::process::id()));
    let said =
        valgrind(&["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())], name, times)?;
    let graph = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    let instructions = number(&said, "Collected :").ok_or_else(|| format!("{name}: {said}"))?;
    let mut counts = HashMap::from([("instructions", instructions)]);
    if layer::DIVIDED.contains(&name) {
        counts.extend(layer::instructions(&graph));
    }
    counts.extend(CALLS.map(|(what, _)| (what, 0)));
    for (function, calls) in calls(&graph) {
        for (what, _) in CALLS.iter().filter(|(_, functions)| functions.contains(&function)) {
            *counts.entry(what).or_default() += calls;
        }
    }
    Ok(counts)
}

/// Each call in a profile of callgrind: the function, without the version of its symbol, and how often it was called
/// from one place. A name is written once, as `cfn=(7) name`, and is `cfn=(7)` from then on.
fn calls(graph: &str) -> Vec<(&str, u64)> {
    let (mut names, mut called, mut calls) = (HashMap::new(), "", Vec::new());
    for line in graph.lines() {
        if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name.split('@').next().unwrap_or(name));
            }
            called = names.get(id).copied().unwrap_or_default();
        } else if let Some(count) = line.strip_prefix("calls=") {
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            calls.push((called, count.unwrap_or_default()));
        }
    }
    calls
}
