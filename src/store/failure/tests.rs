//! The texts of failures.

use super::*;
use crate::store::{
    config::{Config, Secret, Server},
    place::COMMANDS,
};

fn place(change: impl Fn(&mut Config)) -> StorePlace {
    let server = Server::Tcp { url: "redis://10.0.0.7:6379".parse().unwrap(), trust: None };
    let mut config = Config::new(server.clone());
    change(&mut config);
    StorePlace::new(&server, &config)
}

fn answered(kind: ErrorKind, said: &str) -> RedisError {
    RedisError::from((kind, "", said.to_owned()))
}

#[test]
fn text_of_a_server_is_one_line_of_a_bounded_length_without_the_password() {
    let place = place(|config| config.password = Some(Secret::new("hunter2")));
    for (said, line) in [
        (
            "Parse error at 0\nUnexpected `H`\r\n\tExpected\u{1b}[2J nothing\n",
            "Parse error at 0 Unexpected `H` Expected [2J nothing",
        ),
        ("unknown command AUTH hunter2", "unknown command AUTH ***"),
        (" \n", "it gave no reason"),
    ] {
        assert_eq!(place.said(said), line);
    }
    let long = format!("{}ä", "x".repeat(199)).repeat(100);
    let line = place.said(&long);
    assert!((199..=203).contains(&line.len()) && line.ends_with('…'), "{line}");
    let cut = place.said(&format!("{}hunter2", "x".repeat(196)));
    assert!(!cut.contains("hunt"), "{cut}");
}

#[test]
fn missing_right_is_named_with_the_line_that_grants_it() {
    let place = place(|config| {
        (config.username, config.prefix, config.database) = (Some("sg".to_owned()), "team".to_owned(), 3);
    });
    let (keys, channels) = (" ~{team}:*", " &{team}:*");
    let no_perm = ErrorKind::Server(ServerErrorKind::NoPerm);
    let error = ErrorKind::Server(ServerErrorKind::ResponseError);
    for (kind, said, named, pattern) in [
        (no_perm, "this user has no permissions to run the 'script|load' command", "SCRIPT|LOAD", ""),
        (no_perm, "User keykey has no permissions to run the 'evalsha' command", "EVALSHA", ""),
        (no_perm, "ACL failure in script: User a has no permissions to run the 'hset' command", "HSET", ""),
        (error, "this user has no permissions to run the 'select' command", "SELECT", ""),
        (
            error,
            "The user executing the script can't run this command or subcommand script: 3f",
            "a command",
            "",
        ),
        (
            error,
            "The user executing the script can't access at least one of the keys mentioned",
            "the keys {team}:*",
            keys,
        ),
        (
            no_perm,
            "this user has no permissions to access one of the keys used as arguments",
            "the keys {team}:*",
            keys,
        ),
        (
            no_perm,
            "User a has no permissions to access the '{team}:freed' channel",
            "the channels {team}:*",
            channels,
        ),
        (
            error,
            "The user executing the script can't publish to the channel mentioned",
            "the channels {team}:*",
            channels,
        ),
    ] {
        let failure = StoreFailure::of(&place, &answered(kind, said));
        let grant = format!("ACL SETUSER sg{pattern} {COMMANDS} +select");
        let text =
            format!("redis://10.0.0.7:6379 refused its user sg {named}: grant the rights by `{grant}`");
        assert_eq!((failure.to_string(), failure.reason()), (text, "refused"));
    }
}

#[test]
fn documentation_has_the_line_that_grants_the_rights() {
    let page = include_str!("../../../docs/how-to/share-limits.md");
    let all = ["~", "&"].map(str::to_owned);
    let StoreFailure::Rights { grant, .. } = StoreFailure::lacking(&place(|_| ()), &all) else {
        panic!("it lacks rights")
    };
    let line = grant.replace("SETUSER default", "SETUSER sidecars on >PASSWORD");
    assert!(page.contains(&line), "{line}");
}

#[test]
fn refusal_of_a_server_says_what_to_do() {
    let place = place(|_| ());
    let no_such = |code| answered(ErrorKind::Server(code), "details");
    let text = |error: &RedisError| StoreFailure::of(&place, error).to_string();
    assert!(
        text(&no_such(ServerErrorKind::ReadOnly)).contains("it is a replica: set shared.url to its master")
    );
    assert!(text(&no_such(ServerErrorKind::Moved)).contains("set shared.url to the masters of the cluster"));
    assert!(text(&no_such(ServerErrorKind::BusyLoading)).contains("wait until it has loaded its data"));
    assert!(text(&no_such(ServerErrorKind::ResponseError)).contains("see the log of the server"));
    let ended = RedisError::from(io::Error::from(io::ErrorKind::UnexpectedEof));
    assert!(text(&ended).ends_with(
        "closed the connection: the sidecar connects again; if it cannot, see the log of the server"
    ));
    let started = StoreFailure::of_start(&place, &ended).to_string();
    assert!(
        started.starts_with("cannot connect to redis://10.0.0.7:6379: write rediss:// in shared.url"),
        "{started}"
    );
}
