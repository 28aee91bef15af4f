//! A disk that becomes full during an experiment.

use std::process::Command;

use streamgauge::experiment::recording::read;
use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, simulator, text};

/// A shell that runs this first and then the command.
fn after(preparation: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    shell
}

fn pairs() -> Place {
    let url = simulator(Config { rate: 400.0, ..Config::default() });
    Place::new(&url, 60, "repetitions = 3\n[[condition]]\nname = \"pair\"\ncount = 2\n")
}

#[test]
fn full_disk_ends_experiment_with_code_1_names_file_and_resume_continues() {
    let place = pairs();
    // No file may exceed 6 KiB (dash counts 512 bytes). If the signal is ignored, this is an error, like a full
    // disk for each file. A pair of agents writes about 4 KiB of arrivals.
    let mut limited = after("trap '' XFSZ; ulimit -f 12", &place.command(&[]));
    let output = limited.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: cannot write the recording: ") && said.contains("chunk_metrics.csv: "),
        "{said}"
    );
    assert!(said.contains("free disk space, then continue with --resume"), "{said}");
    let before = read(&place.recording()).unwrap().recording;
    assert!(before.runs.len() < 6, "it was over before it was full");

    assert_done(&place.run(&["--resume"]));
    let after = read(&place.recording()).unwrap();
    assert_eq!(after.problems, [], "nothing is left of the run that was broken off");
    assert_eq!(after.recording.runs.iter().map(|run| run.id).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(after.recording.runs[..before.runs.len()], before.runs[..]);
    // The start of each response with its 60 tokens, and the end.
    let chunks = |run| after.recording.chunks.iter().filter(|chunk| chunk.run == run).count();
    assert!((0..6).all(|run| chunks(run) >= 50), "{:?}", (0..6).map(chunks).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs unshare, and namespaces for users"]
fn full_file_system_ends_experiment_and_names_file() {
    let place = pairs();
    std::fs::create_dir(place.recording()).unwrap();
    let mount = format!("mount -t tmpfs -o size=16k none {}", place.recording().display());
    let inside = after(&mount, &place.command(&[]));
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount"]).arg(inside.get_program()).args(inside.get_args());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(".csv: No space left on device") || said.contains(".json: No space left on device"),
        "{said}"
    );
}
