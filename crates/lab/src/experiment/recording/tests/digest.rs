//! A recording that is reduced while it is read gives the same analysis as its rows.

use std::path::Path;

use super::{edit, layout, written};
use crate::{
    analysis::{Settings, analyse},
    experiment::recording::{read, read_all},
};

const SETTINGS: Settings =
    Settings { level: 0.95, power: 0.8, resamples: 99, seed: 117, window: 0.25, margin: 0.05 };

/// Reads the recording in both ways, and checks that both analyses are the same.
#[track_caller]
fn assert_same_analysis(folder: &Path) {
    let whole = read(folder).unwrap();
    assert!(whole.recording.digests.is_empty() && !whole.recording.chunks.is_empty());
    let reduced = read_all(folder, &SETTINGS, &mut |_| {}).unwrap();
    let rows = &reduced[0].recording;
    assert!(rows.chunks.is_empty() && rows.lag.is_empty() && !rows.digests.is_empty());
    assert_eq!(whole.problems, reduced[0].problems);
    let [whole, reduced] = [&whole.recording, rows].map(|recording| analyse(recording, &SETTINGS));
    // NaN equals NaN.
    assert_eq!(format!("{whole:#?}"), format!("{reduced:#?}"));
    assert!(format!("{whole:?}").contains("chunks_per_second"), "there are windows");
}

/// Moves the last row of a file behind its first one.
fn mix(text: String) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap();
    lines.insert(2, last);
    lines.join("\n") + "\n"
}

#[test]
fn recording_that_is_reduced_gives_the_analysis_of_its_rows() {
    let (folder, _) = written();
    assert_same_analysis(folder.path());
}

#[test]
fn rows_of_runs_that_are_mixed_are_all_read() {
    let (folder, _) = written();
    edit(folder.path(), layout::CHUNKS, mix);
    edit(folder.path(), layout::LAG, |text| format!("{text}0,0,schedule,0.2,7\n1,0,yield,10.2,8\n"));
    // A mistake is reported once, although the file is read twice.
    edit(folder.path(), layout::CHUNKS, |text| text.replacen(",100,", ",a hundred,", 1));
    assert_same_analysis(folder.path());
}

#[test]
fn rows_of_an_interrupted_run_are_left_out_of_both() {
    let (folder, _) = written();
    edit(folder.path(), layout::RUNS, |text| text.lines().take(2).collect::<Vec<_>>().join("\n") + "\n");
    assert_same_analysis(folder.path());
}

#[test]
fn clock_that_jumps_and_gaps_of_another_unit_are_corrected_in_both() {
    let (folder, _) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replacen("10.2,", "3610.2,", 1));
    assert_same_analysis(folder.path());
    let (folder, _) = written();
    edit(folder.path(), layout::CHUNKS, |text| text.replace(",100,1,100,", ",100,1,0.1,"));
    let problems = read(folder.path()).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.what.starts_with("gaps are 0.001 times")), "{problems:?}");
    assert_same_analysis(folder.path());
}
