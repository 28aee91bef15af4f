//! `--help` of every command.

use super::{snapshot, streamgauge};

/// The help of a command.
fn help(words: &[String]) -> String {
    let output = streamgauge().args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the subcommands that a help lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

fn write(words: &[String], text: &mut String) {
    let help = help(words);
    let name = [&["streamgauge".to_owned()], words, &["--help".to_owned()]].concat().join(" ");
    *text += &format!("==== {name}\n\n{help}\n");
    for below in subcommands(&help) {
        write(&[words, &[below]].concat(), text);
    }
}

#[test]
fn help_of_every_command_is_the_snapshot() {
    let mut text = String::new();
    write(&[], &mut text);
    assert!(text.matches("==== ").count() > 10, "{text}");
    snapshot::compare("help.txt", &text);
}
