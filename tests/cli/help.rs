//! Help, manual pages and completions agree, and none of them shows a hidden command.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use streamgauge::cli::Cli;
use tempfile::TempDir;

use super::{stdout, streamgauge};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// A command, and its words after `streamgauge`.
type Named = (Vec<String>, Command);

/// All commands: the shown ones, and the hidden ones.
fn commands() -> (Vec<Named>, Vec<Named>) {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    let mut next = vec![(Vec::new(), whole)];
    while let Some((words, command)) = next.pop() {
        for below in command.get_subcommands() {
            let words = [&words[..], &[below.get_name().to_owned()]].concat();
            if below.is_hide_set() { &mut hidden } else { &mut next }.push((words, below.clone()));
        }
        shown.push((words, command));
    }
    (shown, hidden)
}

fn said(arguments: &[&str]) -> String {
    let output = streamgauge(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    stdout(&output)
}

/// The options of a command that `--help` shows, as `--name`.
fn options(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
}

/// The name of a command's manual page.
fn page(words: &[String]) -> String {
    [&["streamgauge".to_owned()], words].concat().join("-")
}

/// The manual in roff, without escaped hyphens.
fn manual() -> String {
    said(&["man"]).replace("\\-", "-")
}

/// The manual page of a command.
fn section<'a>(manual: &'a str, name: &str) -> &'a str {
    let heading = format!("\n.TH {name} 1 ");
    let at = manual.find(&heading).unwrap_or_else(|| panic!("no page {name}"));
    let rest = &manual[at + heading.len()..];
    rest.split("\n.TH ").next().unwrap()
}

#[test]
fn help_and_manual_show_the_same_options_and_subcommands() {
    let (shown, hidden) = commands();
    assert!(shown.len() > 10 && !hidden.is_empty(), "{} and {} were found", shown.len(), hidden.len());
    let manual = manual();
    for (words, command) in shown {
        let name = page(&words);
        let help = said(&[&words.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--help"]].concat());
        let section = section(&manual, &name);
        for option in options(&command) {
            assert!(help.contains(&option), "`{name} --help` lacks {option}");
            assert!(section.contains(&option), "the page {name} lacks {option}");
        }
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let word = below.get_name();
            assert!(help.contains(&format!("\n  {word} ")), "`{name} --help` lacks {word}");
            assert!(section.contains(&format!("\n{name}-{word}(1)\n")), "the page {name} lacks {word}");
        }
        for below in command.get_subcommands().filter(|below| below.is_hide_set()) {
            let word = below.get_name();
            assert!(!help.contains(&format!("\n  {word} ")), "`{name} --help` shows {word}");
        }
    }
}

#[test]
fn manual_writes_each_page_to_its_file_and_refers_to_existing_pages() {
    let manual = manual();
    let titles = manual.lines().filter_map(|line| line.strip_prefix(".TH ")?.split(' ').next());
    let titles: BTreeSet<&str> = titles.collect();
    let referred = manual.lines().filter_map(|line| line.strip_suffix("(1)"));
    let referred: BTreeSet<&str> = referred.filter(|name| name.starts_with("streamgauge")).collect();
    assert!(referred.len() > 10, "{referred:?}");
    let missing: Vec<_> = referred.difference(&titles).collect();
    assert!(missing.is_empty(), "no page {missing:?}");

    let folder = TempDir::new().unwrap();
    said(&["man", "--output", folder.path().to_str().unwrap()]);
    let files: BTreeSet<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, titles.iter().map(|title| format!("{title}.1")).collect());
}

#[test]
fn completions_and_manual_show_no_hidden_command() {
    let (_, hidden) = commands();
    let manual = manual();
    let scripts = SHELLS.map(|shell| (shell, said(&["completions", shell])));
    for (words, command) in hidden {
        let name = page(&words);
        assert!(!manual.contains(&name), "the manual shows {name}");
        let about = command.get_about().unwrap().to_string();
        let about = about.split(['`', '\'']).next().unwrap();
        let word = command.get_name();
        for (shell, script) in &scripts {
            assert!(!script.contains(about), "{shell} completes {name}");
            // Without descriptions: a list of words for each command.
            let lists = script.lines().filter_map(|line| line.trim().strip_prefix("opts=\""));
            let shown = lists.flat_map(|list| list.trim_end_matches('"').split(' ')).any(|each| each == word);
            assert!(!shown, "{shell} completes {name}");
        }
    }
}

#[test]
fn completions_offer_no_hidden_option() {
    for shell in SHELLS {
        let script = said(&["completions", shell]);
        for (words, command) in commands().0 {
            let hidden = command.get_arguments().filter(|argument| argument.is_hide_set());
            for option in hidden.filter_map(clap::Arg::get_long) {
                // Bash, elvish, PowerShell and zsh write `--name`; fish writes `-l name`.
                let is_offered = [format!("--{option}"), format!("-l {option} ")];
                let is_offered = is_offered.iter().any(|word| script.contains(word.as_str()));
                assert!(!is_offered, "{shell} completes --{option} of {words:?}");
            }
        }
    }
}

#[test]
fn completions_have_every_command_and_option_that_help_shows() {
    let script = said(&["completions", "bash"]);
    let lists: Vec<BTreeSet<&str>> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("opts=\""))
        .map(|list| list.trim_end_matches('"').split(' ').collect())
        .collect();
    for (words, command) in commands().0 {
        let options = options(&command);
        let below = command.get_subcommands().filter(|below| !below.is_hide_set());
        let all: Vec<String> =
            options.into_iter().chain(below.map(|below| below.get_name().to_owned())).collect();
        let complete = lists.iter().any(|list| all.iter().all(|word| list.contains(word.as_str())));
        assert!(complete, "bash does not complete {all:?} of {words:?}");
    }
}

#[test]
fn reference_has_each_command_with_its_options_and_no_other() {
    let text = include_str!("../../docs/reference/cli.md");
    let mut sections: Vec<(&str, &str)> =
        text.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let of_every = sections.remove(0);
    assert_eq!(of_every.0, "Every command");
    // The first cell of a row: `--name VALUE`, or several of them.
    let documented = |section: &str| -> BTreeSet<String> {
        let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let spans = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        spans
            .filter(|span| span.starts_with("--"))
            .map(|span| span.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let of_every = documented(of_every.1);
    for (words, command) in commands().0 {
        let own: BTreeSet<String> =
            options(&command).into_iter().filter(|each| !of_every.contains(each)).collect();
        // A command with subcommands does nothing by itself.
        if command.has_subcommands() {
            assert!(own.is_empty(), "{words:?}: {own:?}");
            continue;
        }
        let heading = page(&words).replace('-', " ");
        let at = sections.iter().position(|section| section.0 == heading);
        let (_, section) = sections.remove(at.unwrap_or_else(|| panic!("no heading {heading}")));
        assert_eq!(documented(section), own, "{heading}");
    }
    assert!(sections.is_empty(), "they are no commands: {sections:?}");
}
