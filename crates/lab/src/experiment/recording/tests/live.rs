//! Recordings of live traffic beside each other, and their parts.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{
    analysis::{Agent, Gaps, Served, Settings},
    experiment::recording::{AgentRow, Environment, LiveTraffic, Recorded, Writer, is_part, read_all},
};

/// Writes a recording that began at this time, with requests of a second that started so many seconds later.
fn write(folder: &Path, began_unix_s: f64, started: &[f64]) {
    let live = LiveTraffic { sample_ratio: 1.0, callers: false };
    let environment = Environment { live: Some(live), began_unix_s, ..Environment::default() };
    let mut writer = Writer::live(folder, &environment).unwrap();
    for (agent, started) in (0..).zip(started) {
        let served = Served { upstream: "gpu0".into(), route: "chat".into(), ..Served::default() };
        let agent = Agent {
            agent,
            model: "m".into(),
            started: *started,
            duration: 1.0,
            served: Some(Box::new(served)),
            ..Agent::default()
        };
        let row = AgentRow { upstream: "gpu0".into(), chunks: 0, bytes: 0, gaps: Gaps::default(), agent };
        writer.request(&row, &[]).unwrap();
    }
    writer.flush().unwrap();
}

fn read(folder: &Path) -> Vec<Recorded> {
    read_all(folder, &Settings::default(), &mut |_| {}).unwrap()
}

fn started(recorded: &Recorded) -> Vec<f64> {
    recorded.recording.agents.iter().map(|agent| agent.started).collect()
}

#[test]
fn recordings_beside_each_other_stay_apart_and_the_parts_of_each_are_joined() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("monday"), 1000.0, &[1.0]);
    write(&root.path().join("tuesday"), 90_000.0, &[2.0, 3.0]);
    let parts = root.path().join("sidecar");
    fs::create_dir(&parts).unwrap();
    write(&parts.join("20261128T103000.000001Z"), 5000.0, &[4.0]);
    write(&parts.join("20261128T113000.000002Z"), 5000.0, &[3600.0]);
    write(&parts.join("20261129T000000.000003Z"), 10_000.0, &[1.0]);
    let found = read(root.path());
    let named: Vec<(&str, Vec<f64>)> =
        found.iter().map(|recorded| (recorded.name.as_str(), started(recorded))).collect();
    assert_eq!(
        named,
        [("monday", vec![1.0]), ("sidecar", vec![4.0, 3600.0, 5001.0]), ("tuesday", vec![2.0, 3.0])]
    );
    // The folder of the parts itself has the same content.
    assert_eq!(started(&read(&parts)[0]), [4.0, 3600.0, 5001.0]);
    let notes = &found[1].recording.notes;
    assert_eq!(notes, &["3 parts of live traffic are read as one recording"]);
}

#[test]
fn clock_that_was_set_back_between_two_parts_is_named() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("20261128T103000.000001Z"), 5000.0, &[1.0, 700.0]);
    write(&root.path().join("20261128T100000.000001Z"), 5100.0, &[1.0]);
    let found = read(root.path());
    let notes = found[0].recording.notes.join("\n");
    assert!(notes.contains("overlap by up to 600 s: the clock of the machine was set back"), "{notes}");
}

#[test]
fn problem_of_a_part_names_the_part() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("20261128T103000.000001Z"), 5000.0, &[1.0]);
    let later = root.path().join("20261128T113000.000002Z");
    write(&later, 5000.0, &[3600.0]);
    let agents = later.join("agents.csv");
    let text = fs::read_to_string(&agents).unwrap();
    fs::write(&agents, text.clone() + &text.lines().nth(1).unwrap()[..5]).unwrap();
    let problems = read(root.path())[0].problems.clone();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["20261128T113000.000002Z/agents.csv:3: the last line is cut off and left out"]);
}

#[test]
fn part_without_its_environment_is_left_out_beside_others() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("20261128T103000.000001Z"), 5000.0, &[1.0]);
    write(&root.path().join("20261128T113000.000002Z"), 5000.0, &[3600.0]);
    fs::remove_file(root.path().join("20261128T113000.000002Z/environment.json")).unwrap();
    let found = read(root.path());
    assert_eq!(started(&found[0]), [1.0]);
    let shown: Vec<String> = found[0].problems.iter().map(ToString::to_string).collect();
    let left_out =
        "20261128T113000.000002Z: the part is left out, because the beginning of its clock is not known";
    assert!(shown.contains(&left_out.to_owned()), "{shown:?}");
}

#[test]
fn only_part_has_the_name_of_the_folder_as_several_parts_have() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("night/20261128T103000.000001Z"), 5000.0, &[1.0]);
    assert_eq!(read(&root.path().join("night"))[0].name, "night");
}

#[test]
fn agent_with_the_largest_number_in_a_part_is_read_as_any_other() {
    let root = TempDir::new().unwrap();
    for part in ["20261128T103000.000001Z", "20261128T113000.000002Z"] {
        write(&root.path().join(part), 5000.0, &[1.0]);
        let agents = root.path().join(part).join("agents.csv");
        let text = fs::read_to_string(&agents).unwrap();
        fs::write(&agents, text.replacen("\n0,0,", "\n0,4294967295,", 1)).unwrap();
    }
    assert_eq!(started(&read(root.path())[0]), [1.0, 1.0]);
}

#[test]
fn live_traffic_without_its_environment_is_read_as_live_traffic() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("monday"), 1000.0, &[1.0, 2.0]);
    fs::remove_file(root.path().join("monday/environment.json")).unwrap();
    let found = read(root.path());
    assert!(found[0].recording.live);
    let shown: Vec<String> = found[0].problems.iter().map(ToString::to_string).collect();
    assert!(shown[0].contains("nor whether a simulated Ollama answered") && shown.len() == 1, "{shown:?}");
}

#[test]
fn name_of_a_part_is_a_time() {
    assert!(is_part("20261128T103000.000001Z"));
    for other in
        ["monday", "20261128T103000.000001", "20261128T103000.000001Zx", "2026x128T103000.000001Z", ""]
    {
        assert!(!is_part(other), "{other}");
    }
}
