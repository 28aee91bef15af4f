//! The columns equal those of docs/reference/recording-format.md.

use streamgauge_simulate::Config;

use super::ollama::{Place, assert_done, simulator};

/// The columns that the page lists under the heading of a file.
fn documented(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string("docs/reference/recording-format.md").unwrap();
    let section = text.split_once(&format!("### {file}\n")).unwrap_or_else(|| panic!("{file}")).1;
    let section = section.split("\n#").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn recording_file_has_documented_columns() {
    let url = simulator(Config { rate: 0.0, ..Config::default() });
    let place = Place::new(
        &url,
        3,
        "repetitions = 1\nkeep_text = true\n[[condition]]\nname = \"through\"\nsidecar = {}\nsolo = false\n",
    );
    assert_done(&place.run(&[]));
    let mut files: Vec<String> = std::fs::read_dir(place.recording())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let expected = [
        "agents.csv",
        "chunk_metrics.csv",
        "environment.json",
        "gpu_metrics.csv",
        "loop_lag.csv",
        "plan.toml",
        "runs.csv",
        "sidecar-0.toml",
        "sidecar_metrics.csv",
        "texts.csv",
    ];
    assert_eq!(files, expected);
    for file in files.iter().filter(|file| file.ends_with(".csv")) {
        let text = std::fs::read_to_string(place.recording().join(file)).unwrap();
        let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        assert_eq!(header, documented(file), "{file}");
    }
}
