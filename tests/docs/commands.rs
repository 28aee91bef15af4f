//! Commands: the files that they name exist, and streamgauge accepts the shown arguments.

use std::{fs, path::Path};

use clap::{CommandFactory, Parser};
use streamgauge::cli::Cli;

use super::page::pages;

/// Other programs, whose arguments are not checked.
const FOREIGN: [&str; 21] = [
    "aiperf",
    "base64",
    "cd",
    "curl",
    "docker",
    "env",
    "git",
    "install",
    "kubectl",
    "nohup",
    "npm",
    "nvidia-smi",
    "ollama",
    "openssl",
    "printf",
    "promtool",
    "redis-cli",
    "systemctl",
    "systemd-analyze",
    "systemd-socket-activate",
    "tar",
];
/// The folders whose files are named in prose.
const FOLDERS: [&str; 11] = [
    "benches/",
    "crates/",
    "deploy/",
    "docs/",
    "examples/",
    "fuzz/",
    "grafana/",
    "prometheus/",
    "src/",
    "tests/",
    ".ci/",
];

/// Whether a command is valid. `place` is for the message.
pub(crate) fn is_right(place: &str, command: &str) {
    let command = command.split(" # ").next().unwrap();
    for part in command.split("&&") {
        let mut words = part.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let program = words.find(|word| !word.contains('=')).unwrap_or_default();
        // The reader provides the files of redirections.
        let words: Vec<_> = words.take_while(|word| !word.starts_with(['>', '<', '|'])).collect();
        let wrong = match program.rsplit('/').next().unwrap() {
            "streamgauge" => ours(&words),
            "cargo" => cargo(&words),
            "just" => just(&words),
            name if FOREIGN.contains(&name) => files_of(name, &words),
            _ if program.contains('/') => (!Path::new(program).exists()).then(|| "no such file".to_owned()),
            // A Python interpreter of a certain version.
            "PYTHON" => (!Path::new(words[0]).exists()).then(|| "no such file".to_owned()),
            program => Some(format!("is {program} a program?")),
        };
        assert!(wrong.is_none(), "{place}: `{command}`: {}", wrong.unwrap());
    }
}

/// Placeholders are in capitals, and `…` means "and so on".
fn ours(words: &[&str]) -> Option<String> {
    if let [subcommand] = words
        && Cli::command().find_subcommand(subcommand).is_some()
    {
        // A command that is mentioned in prose need not have its arguments.
        return None;
    }
    let filled = words.iter().map(|word| match word.trim_end_matches('…').trim_matches(['[', ']']) {
        "ADDR" | "ADDRESS" => "127.0.0.1:1",
        "URL" => "http://127.0.0.1:1",
        "N" => "1",
        "DURATION" => "10s",
        "SHELL" => "bash",
        word => word,
    });
    let error = Cli::try_parse_from(["streamgauge"].into_iter().chain(filled)).err()?;
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    let shows = [DisplayHelp, DisplayVersion, DisplayHelpOnMissingArgumentOrSubcommand];
    (!shows.contains(&error.kind())).then(|| error.to_string())
}

fn cargo(words: &[&str]) -> Option<String> {
    let (own, rest) = words.split_at(words.iter().position(|word| *word == "--").unwrap_or(words.len()));
    for (flag, folder) in [("--example", "examples"), ("--test", "tests"), ("--bench", "benches")] {
        let named = own.iter().position(|word| *word == flag).and_then(|at| own.get(at + 1));
        if let Some(name) = named {
            let packages = fs::read_dir("crates").unwrap().map(|entry| entry.unwrap().path());
            let there = packages.chain([".".into()]).any(|package| {
                let targets = package.join(folder);
                targets.join(format!("{name}.rs")).exists() || targets.join(name).join("main.rs").exists()
            });
            return (!there).then(|| format!("there is no {name} in {folder}"));
        }
    }
    match own.first()? {
        &"run" => ours(rest.get(1..).unwrap_or_default()),
        command => {
            let known =
                ["add", "bench", "build", "deny", "doc", "fmt", "install", "publish", "test", "clippy"];
            (!known.contains(command)).then(|| format!("is {command} a command?"))
        }
    }
}

fn just(words: &[&str]) -> Option<String> {
    let recipe = words.first()?;
    let recipes = fs::read_to_string("justfile").unwrap();
    let there = recipes.lines().any(|line| {
        line.strip_prefix(recipe).is_some_and(|rest| rest.starts_with(':') || rest.starts_with(' '))
    });
    (!there).then(|| format!("there is no recipe {recipe}"))
}

/// The files in docker commands belong to this repository.
fn files_of(program: &str, words: &[&str]) -> Option<String> {
    let files = words.windows(2).filter(|pair| program == "docker" && pair[0] == "-f").map(|pair| pair[1]);
    let missing: Vec<_> = files.filter(|file| !Path::new(file).exists()).collect();
    (!missing.is_empty()).then(|| format!("there is no {missing:?}"))
}

#[test]
fn documented_command_in_block_is_valid() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| ["", "sh"].contains(&block.language.as_str())) {
            for line in block.text.replace("\\\n", " ").lines().filter(|line| !line.starts_with('#')) {
                is_right(&block.place, line);
                seen += 1;
            }
        }
    }
    assert!(seen > 8, "{seen} commands were read");
}

#[test]
fn documented_command_and_file_in_prose_exists() {
    let (mut commands, mut files) = (0, 0);
    for page in pages() {
        for (place, span) in page.spans() {
            let ours = ["streamgauge ", "cargo ", "just "].iter().any(|program| span.starts_with(program));
            if ours {
                is_right(&place, span);
                commands += 1;
            }
            if FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '{', '…']) {
                // For `folder/*.json`, the folder must exist.
                let path = span.split('*').next().unwrap();
                let beside = page.path.parent().unwrap().join(path);
                assert!(Path::new(path).exists() || beside.exists(), "{place}: there is no {span}");
                files += 1;
            }
        }
    }
    assert!(commands > 8 && files > 20, "{commands} commands and {files} files were read");
}

#[test]
fn invalid_documented_command_is_found() {
    for wrong in [
        "streamgauge serve --upstreams http://127.0.0.1:11434",
        "cargo run --release -- demo --clients none",
        "cargo test --test nothing",
        "just nothing",
        "docker compose -f nothing.yaml up",
        "tests/nothing.sh",
        "nothing",
    ] {
        let found = std::panic::catch_unwind(|| is_right("here", wrong));
        assert!(found.is_err(), "{wrong}");
    }
    is_right("here", "NAME=value streamgauge probe http://127.0.0.1:9464/readyz && cargo test");
}
