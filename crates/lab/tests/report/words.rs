//! The tables for a terminal.

use std::fs;

use super::made_up::{SETTINGS, recorded, report};
use streamgauge_lab::analysis::{Measure, Recording, RunKind};
use streamgauge_lab::experiment::recording::{Environment, Recorded, Upstream, read_all};
use streamgauge_lab::report::Report;

#[test]
fn report_tables_name_conditions_measures_claims_and_problems() {
    let text = report().full_text(None);
    for part in [
        "Conditions",
        "true efficiency",
        "uvloop",
        "Comparisons",
        "1 run; 4 of each are needed",
        "Scaling",
        "Verdicts on the claims of TR117 (Technical Report 117)",
        "Python's efficiency has a ceiling near 86 %",
        "supported",
        "Advice",
        "made-up",
        "loop_lag.csv:7: a <script> is not a time",
        "503: the queue is full",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.ends_with('\n') && !text.contains('\x1b'));
}

#[test]
fn report_table_never_exceeds_terminal_width() {
    let text = report().full_text(Some(100));
    let wide: Vec<&str> =
        text.lines().filter(|line| line.contains('─') && line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn report_keeps_conditions_of_several_recordings_apart() {
    let other = Recorded { name: "other".into(), ..recorded() };
    let same = recorded();
    let together = Report::of(vec![recorded(), other, same], &SETTINGS);
    assert_eq!(
        together.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(),
        ["made-up", "other", "made-up (2)"]
    );
    let names: Vec<&str> =
        together.analysis.conditions.iter().map(|condition| condition.condition.name.as_str()).collect();
    assert!(names.contains(&"other/uvloop") && names.contains(&"made-up (2)/rust"), "{names:?}");
    let alone = report();
    let of = |report: &Report, name: &str| {
        let found = report.analysis.conditions.iter().find(|found| found.condition.name == name);
        found.unwrap().truth
    };
    assert_eq!(of(&together, "other/rust"), of(alone, "rust"));
    assert_eq!(together.analysis.runs.len(), 3 * alone.analysis.runs.len());
}

#[test]
fn report_of_folder_above_several_recordings_names_conditions_by_folder() {
    let agent = |id: &str| {
        format!(
            r#"{{"id": "{id}", "base_url": "http://localhost:11434", "response": "x", "metrics": {{
            "tokens_generated": 40, "ttft_ms": 100, "total_duration_ms": 800,
            "eval_count": 40, "eval_duration": 500000000, "prompt_eval_duration": 58004600}}}}"#
        )
    };
    let run = format!(
        r#"{{"run_number": 1, "scenario": "chimera_homo", "collector": {}, "insight": {},
        "concurrent_wall_time_ms": 1001, "efficiency_percent": 79.9, "read_buffer_size": 8192}}"#,
        agent("collector"),
        agent("insight"),
    );
    let folder = tempfile::tempdir().unwrap();
    let expected = ["phase1/default", "phase3/60tps"];
    for name in expected {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("run_1.json"), &run).unwrap();
    }
    let report = Report::of(read_all(folder.path(), &SETTINGS, &mut |_| {}).unwrap(), &SETTINGS);
    let names: Vec<&str> =
        report.analysis.conditions.iter().map(|condition| condition.condition.name.as_str()).collect();
    assert_eq!(names, expected);
}

#[test]
fn report_exists_for_empty_recording() {
    let empty = Recorded {
        name: "empty".into(),
        recording: Recording::default(),
        plan: None,
        environment: None,
        problems: Vec::new(),
    };
    let report = Report::of(vec![empty], &SETTINGS);
    assert!(report.full_text(None).contains("undecided") && report.html().contains("undecided"));
}

#[test]
fn report_on_a_simulated_ollama_says_so_first() {
    let warning = "SIMULATED: a simulated Ollama answered. The figures describe the simulator and the agents, and the \
                   claims about real ones are withheld.";
    let of = |simulated: bool| {
        let recording = Recording { simulated, ..Recording::default() };
        let recorded =
            Recorded { name: "x".into(), recording, plan: None, environment: None, problems: Vec::new() };
        let report = Report::of(vec![recorded], &SETTINGS);
        (
            report.full_text(None).starts_with(&format!("Verdict\n  - {warning}")),
            report.html().contains(warning),
        )
    };
    assert_eq!(of(true), (true, true));
    assert_eq!(of(false), (false, false));
}

#[test]
fn report_shows_differences_of_efficiency_in_points() {
    let report = report();
    let comparison = report.analysis.comparison("uvloop", Measure::TrueEfficiency).unwrap();
    assert!(comparison.sentence().contains(" points"), "{}", comparison.sentence());
    assert!(!comparison.sentence().contains(" % to "), "{}", comparison.sentence());
    assert!(report.full_text(None).contains(" points"));
    assert!(!report.full_text(None).contains("0.0000 "), "a p of 0 is none");
}

#[test]
fn report_counts_one_address_in_the_singular() {
    let with = |addresses: usize| {
        let upstream = |place: usize| {
            (format!("one {place}"), Upstream { version: Some("0.34.3".into()), ..Upstream::default() })
        };
        let upstreams = (0..addresses).map(upstream).collect();
        let environment = Some(Environment { upstreams, ..Environment::default() });
        let recording = Recording::default();
        let recorded =
            Recorded { name: "x".into(), recording, plan: None, environment, problems: Vec::new() };
        Report::of(vec![recorded], &SETTINGS).full_text(None)
    };
    let one = with(1);
    assert!(one.contains("0.34.3 at 1 address") && !one.contains("1 addresses"), "{one}");
    assert!(with(2).contains("0.34.3 at 2 addresses"), "{}", with(2));
}

#[test]
fn report_names_relation_within_several_conditions_and_over_all_runs_of_one() {
    let relations = |keep: fn(&str) -> bool| {
        let mut recorded = recorded();
        recorded.recording.runs.retain(|run| keep(&run.condition));
        recorded.recording.conditions.retain(|condition| keep(&condition.name));
        Report::of(vec![recorded], &SETTINGS).full_text(None)
    };
    let one = relations(|name| name == "uvloop");
    assert!(one.contains("all runs") && !one.contains("within 1 conditions"), "{one}");
    assert!(relations(|name| ["uvloop", "batches"].contains(&name)).contains("within 2 conditions"));
}

/// Returns the lines of the verdict of a report for 80 columns.
fn lines(report: &Report) -> usize {
    let text = report.text(Some(80));
    let lines = text.lines().skip(1).take_while(|line| !line.is_empty()).count();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!((1..=8).contains(&lines), "{lines} lines:\n{text}");
    lines
}

/// The recording without the rows and the runs that no sentence of a verdict is about.
fn small() -> Recorded {
    let mut small = recorded();
    small.recording.chunks.clear();
    small.recording.lag.clear();
    let mut of_one = 0;
    small.recording.runs.retain(|run| {
        of_one += usize::from(run.condition == "one");
        run.condition != "one" || of_one <= 10
    });
    small
}

/// The recording with every name longer, and with many problems.
fn long_names() -> Recorded {
    let mut long = small();
    let name = |name: &str| format!("phase1/gemma3_latest_q4_k_m/{name} with a long name");
    for condition in &mut long.recording.conditions {
        condition.name = name(&condition.name);
        condition.baseline = condition.baseline.as_deref().map(name);
    }
    long.recording.runs.iter_mut().for_each(|run| {
        if run.kind != RunKind::Open {
            run.condition = name(&run.condition);
        }
    });
    long.problems = vec![long.problems[0].clone(); 7];
    long
}

#[test]
fn verdict_of_every_kind_of_recording_has_at_most_eight_lines_of_80_columns() {
    lines(report());
    let without = |edit: fn(&mut Recorded)| {
        let mut one = small();
        edit(&mut one);
        Report::of(vec![one], &SETTINGS)
    };
    lines(&without(|one| one.recording.simulated = true));
    lines(&without(|one| one.recording.loads.clear()));
    lines(&without(|one| one.recording.conditions.iter_mut().for_each(|found| found.remedies.clear())));
    lines(&without(|one| {
        one.recording.conditions.iter_mut().for_each(|found| found.remedies.clear());
        one.recording.simulated = true;
    }));
    lines(&without(|one| one.recording.agents.clear()));
    lines(&without(|one| one.recording = Recording::default()));
    lines(&Report::of(vec![long_names()], &SETTINGS));
    let other = Recorded { name: "a recording with a long name".into(), ..small() };
    lines(&Report::of(vec![small(), other], &SETTINGS));
    lines(&Report::of(vec![long_names(), small()], &SETTINGS));
}

#[test]
fn open_loop_load_takes_at_most_three_lines_of_the_verdict_and_keeps_goodput_failures_and_knee() {
    let text = report().text(Some(80));
    let verdict: Vec<&str> = text.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    let first =
        verdict.iter().position(|line| line.starts_with("  - load ")).unwrap_or_else(|| panic!("{text}"));
    let more = verdict[first + 1..].iter().take_while(|line| !line.starts_with("  - ")).count();
    let sentence = verdict[first..=first + more].join(" ");
    assert!(more <= 2, "{text}");
    for part in ["goodput ", " % failed.", "knee "] {
        assert!(sentence.contains(part), "{part} is not in {sentence}");
    }
}

#[test]
fn verdict_states_the_largest_difference_that_could_hide() {
    let text = report().text(None);
    assert!(
        text.contains("  - Differences below ")
            && text.contains(" in true efficiency could hide (power 80 %)."),
        "{text}"
    );
    let mut decided = small();
    decided.recording.conditions.retain(|found| ["one", "eight"].contains(&found.name.as_str()));
    let text = Report::of(vec![decided], &SETTINGS).text(None);
    assert!(!text.contains("could hide"), "{text}");
}

#[test]
fn verdict_of_a_simulated_comparison_names_the_simulator_before_the_difference() {
    let mut simulated = small();
    simulated.recording.simulated = true;
    simulated.recording.loads.clear();
    simulated.recording.conditions.retain(|found| ["rust", "python <b>&"].contains(&found.name.as_str()));
    let text = Report::of(vec![simulated], &SETTINGS).text(None);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("  - SIMULATED: "), "{text}");
    assert!(lines[2].starts_with("  - With the simulated Ollama: rust: 1 of 6 runs failed"), "{text}");
    let mut other = small();
    other.recording.simulated = true;
    let text = Report::of(vec![small(), Recorded { name: "later".into(), ..other }], &SETTINGS).text(None);
    assert!(text.lines().nth(1).unwrap().starts_with("  - SIMULATED: "), "{text}");
}

#[test]
fn verdict_names_the_recording_of_which_a_simulated_ollama_answered() {
    let of = |name: &str, version: &str| {
        let simulated = version.ends_with("+simulated");
        let version = Some(version.to_owned());
        let upstreams = [("one".to_owned(), Upstream { version, ..Upstream::default() })].into();
        let environment = Some(Environment { upstreams, ..Environment::default() });
        let recording = Recording { simulated, ..Recording::default() };
        Recorded { name: name.into(), recording, plan: None, environment, problems: Vec::new() }
    };
    let first = |recorded: Vec<Recorded>| {
        let text = Report::of(recorded, &SETTINGS).text(None);
        text.lines().nth(1).unwrap().to_owned()
    };
    let (real, simulated) = (|| of("monday", "0.34.3"), || of("tuesday", "0.34.3+simulated"));
    assert!(
        first(vec![real(), simulated()])
            .starts_with("  - SIMULATED: a simulated Ollama answered in tuesday only.")
    );
    assert!(first(vec![simulated(), simulated()]).starts_with("  - SIMULATED: a simulated Ollama answered."));
}

#[test]
fn verdict_counts_the_runs_that_are_left_out() {
    let mut broken = small();
    broken.recording.runs[0].wall = Some(1e-3);
    let report = Report::of(vec![broken], &SETTINGS);
    assert!(report.text(None).contains("and 1 run was left out."), "{}", report.text(None));
    assert!(
        report.full_text(None).contains("run 0 is left out: its agent 0 took "),
        "{}",
        report.full_text(None)
    );
}

/// Returns the sentences of the verdict, and the widest line.
fn verdict(text: &str) -> (usize, usize) {
    let block = text.strip_prefix("Verdict\n").unwrap().split("\n\n").next().unwrap();
    let sentences = block.lines().filter(|line| line.starts_with("  - ")).count();
    (sentences, text.lines().map(|line| line.chars().count()).max().unwrap())
}

#[test]
fn report_begins_with_a_verdict_of_at_most_eight_sentences_and_fits_every_terminal() {
    for width in [60, 80, 100, 132, 200] {
        let text = report().text(Some(width));
        let (sentences, widest) = verdict(&text);
        assert!((3..=8).contains(&sentences), "{text}");
        assert!(widest <= usize::from(width), "{widest} columns of {width}:\n{text}");
        // One line for each condition: no cell is broken.
        let rows = text.lines().filter(|line| line.trim_start().starts_with("uvloop ")).count();
        assert_eq!(rows, 1, "{text}");
        assert!(text.contains("--full"), "{text}");
    }
    let wide = report().text(Some(200));
    assert!(wide.contains("lag p99"), "{wide}");
}

#[test]
fn report_of_two_recordings_has_their_comparison_as_its_table() {
    let other = Recorded { name: "other".into(), ..recorded() };
    let text = Report::of(vec![recorded(), other], &SETTINGS).text(Some(120));
    let (sentences, widest) = verdict(&text);
    assert!((4..=8).contains(&sentences) && widest <= 120, "{widest}\n{text}");
    assert!(text.contains("against made-up") || text.contains("Equivalent to made-up"), "{text}");
    assert!(text.contains("Comparison of the recordings"), "{text}");
}
