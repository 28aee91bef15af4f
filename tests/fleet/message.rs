//! What the log and `/readyz` say of a store that does not decide: what happened, where, and what to do.

use std::{fs, time::Duration};

use streamgauge::{
    admission::Limits,
    store::{Secret, Server},
    tls::{Authorities, Trust},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use crate::{
    authority::Authority,
    fault::{longest_of_20, plenty},
    fleet::{Fleet, One, alice, quota, streams},
    log::Log,
    redis::{PATIENCE, Redis},
    server::{free_port, other_program, tcp, tries},
};

fn all_limits() -> Limits {
    Limits { tokens: Some(quota(1_000_000, 1)), max_streams: Some(2), ..plenty() }
}

/// The sidecar serves, and gives the reason in one line.
async fn readyz(one: &One) -> String {
    let ready = one.page("/readyz").await;
    let said = ready.strip_prefix("ready; shared limits are not in force, local limits are: ");
    let said = said.unwrap_or_else(|| panic!("{ready}")).trim_end().to_owned();
    assert!(!said.is_empty() && !said.contains('\n'), "{ready}");
    longest_of_20(one).await;
    said
}

/// The reason, when it contains this.
async fn until_readyz(one: &One, part: &str) -> String {
    let told = async {
        loop {
            let said = readyz(one).await;
            if said.contains(part) {
                return said;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("the reason changes")
}

/// The command of a message that grants rights.
fn grant(said: &str) -> &str {
    let words = said.split('`').nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(words.starts_with("ACL SETUSER "), "{said}");
    words
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn missing_right_is_named_once_and_the_line_of_the_message_grants_it() {
    for (rights, named) in [
        ("", "EVAL"),
        ("~* &* +@all -eval", "EVAL"),
        ("~* &* +@all -script", "SCRIPT|LOAD"),
        ("~* &* +@all -evalsha", "EVALSHA"),
        ("~* &* +@all -hset -hdel", "HSET, HDEL"),
        ("~* &* +@all -time -publish", "TIME, PUBLISH"),
        ("~other:* &* +@all", "the keys {streamgauge}:*"),
        ("~* resetchannels +@all", "the channels {streamgauge}:*"),
    ] {
        let (log, redis) = (Log::follow(), Redis::start(&[]).await);
        redis.command(&format!("ACL SETUSER sg on >secret {rights}")).await;
        let user = |config: &mut streamgauge::store::Config| {
            (config.username, config.password) = (Some("sg".to_owned()), Some(Secret::new("secret")));
        };
        let fleet = Fleet::start(1, &[redis.server()], &[alice(all_limits())], streams(0.05), user).await;
        let one = &fleet.all[0];
        tries(one, 3).await;
        let said = readyz(one).await;
        let lines = log.shared();
        let expected = format!("{} refused its user sg {named}: grant the rights by `", redis.server());
        assert!(said.starts_with(&expected), "{rights}: {said}");
        assert!(lines.len() == 1 && lines[0].contains(&expected), "{rights}: {lines:#?}");
        redis.command(grant(&said)).await;
        if rights.is_empty() {
            // The store tells of the keys and of the channels only when the commands are granted.
            for lacked in ["the keys {streamgauge}:*", "the channels {streamgauge}:*"] {
                let said = until_readyz(one, lacked).await;
                redis.command(grant(&said)).await;
            }
        }
        one.until_mode("shared").await;
        for _ in 0..3 {
            assert_eq!(one.generate().await, 200);
        }
        sleep(Duration::from_millis(300)).await;
        one.until_mode("shared").await;
        assert_eq!(one.value("shared_decisions_total", &[("source", "store")]), 3.0, "{rights}");
        assert_eq!(one.page("/readyz").await, "ready\n");
        let lines = log.shared();
        assert!(lines.len() == 1 && lines[0].contains("shared limits are in force"), "{rights}: {lines:#?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn right_that_is_taken_away_is_named_once() {
    let (log, redis) = (Log::follow(), Redis::start(&[]).await);
    let fleet = Fleet::start(1, &[redis.server()], &[alice(all_limits())], streams(0.05), |_| ()).await;
    fleet.shares().await;
    log.shared();
    redis.command("ACL SETUSER default -hmget").await;
    let one = &fleet.all[0];
    assert_eq!(one.version().await.0, 200);
    one.until_mode("local").await;
    tries(one, 4).await;
    let (said, lines) = (readyz(one).await, log.shared());
    assert!(said.contains("refused its user default HMGET: grant the rights by `"), "{said}");
    assert!(lines.len() == 1 && lines[0].contains(&said), "{said}: {lines:#?}");
    redis.command(grant(&said)).await;
    one.until_mode("shared").await;
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn user_that_may_not_subscribe_is_told_once_and_shares_its_limits() {
    let (log, redis) = (Log::follow(), Redis::start(&[]).await);
    redis.command("ACL SETUSER default -subscribe").await;
    let fleet = Fleet::start(1, &[redis.server()], &[alice(all_limits())], streams(0.05), |_| ()).await;
    fleet.shares().await;
    assert_eq!(fleet.all[0].generate().await, 200);
    // Three trials to subscribe.
    sleep(Duration::from_millis(800)).await;
    let lines = log.shared();
    let told = lines.iter().filter(|line| line.contains("refused its user default SUBSCRIBE: grant")).count();
    assert!(told == 1 && lines.len() == 2, "{lines:#?}");
    assert_eq!(fleet.all[0].page("/readyz").await, "ready\n");
}

/// A Redis with a certificate of `authority`, and its port for TLS.
async fn with_tls(authority: &Authority, folder: &TempDir, clients: &str) -> (Redis, u16) {
    let issued = authority.issue("127.0.0.1");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in [("cert", &issued.cert), ("key", &issued.key), ("ca", &authority.pem())] {
        fs::write(at(name), text).unwrap();
    }
    let port = free_port();
    let (tls, cert, key, ca) = (port.to_string(), at("cert"), at("key"), at("ca"));
    let arguments = ["--tls-port", &tls, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let others = ["--tls-ca-cert-file", &ca, "--tls-auth-clients", clients];
    (Redis::start(&[&arguments[..], &others[..]].concat()).await, port)
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn scheme_that_does_not_fit_the_server_is_told_once() {
    let (authority, folder) = (Authority::new("ours"), TempDir::new().unwrap());
    let trust = || {
        let authorities = Authorities::from_pem(authority.pem().as_bytes()).unwrap();
        Some(Trust::only(authorities, None))
    };
    let (_secured, secured) = with_tls(&authority, &folder, "no").await;
    let others = TempDir::new().unwrap();
    let (_asking, asking) = with_tls(&authority, &others, "yes").await;
    let plain = free_port();
    let _plain = Redis::start(&["--port", &plain.to_string()]).await;
    let web = other_program(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.port();
    for (what, server, said) in [
        (
            "redis at TLS",
            tcp(secured, None),
            "write rediss:// in shared.url if the server has TLS on this port",
        ),
        (
            "rediss at a plain server",
            tcp(plain, trust()),
            "write redis:// in shared.url if the server has no TLS on this port",
        ),
        (
            "rediss at HTTP",
            tcp(web, trust()),
            "write redis:// in shared.url if the server has no TLS on this port",
        ),
        (
            "a server that asks for a certificate",
            tcp(asking, trust()),
            "set tls-auth-clients no at the server",
        ),
    ] {
        let log = Log::follow();
        let fleet = Fleet::start(1, &[server], &[alice(plenty())], streams(0.1), |_| ()).await;
        tries(&fleet.all[0], 3).await;
        let (ready, lines) = (readyz(&fleet.all[0]).await, log.shared());
        crate::figures::print(&format!("{what}: {ready}"));
        assert!(ready.contains(said), "{what}: {ready}");
        assert!(lines.len() == 1 && lines[0].contains(said), "{what}: {lines:#?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn store_that_is_away_or_closes_connections_is_told_once() {
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closes = closing.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            drop(closing.accept().await);
        }
    });
    let none = std::path::PathBuf::from("/nowhere/redis.sock");
    for (server, said) in [
        (tcp(free_port(), None), "start the server, or correct shared.url ("),
        (
            Server::Unix(none),
            "cannot connect to unix:///nowhere/redis.sock: start the server, or correct shared.url (",
        ),
        (tcp(closes, None), "(it closed the connection: "),
    ] {
        let log = Log::follow();
        let fleet = Fleet::start(1, &[server], &[alice(plenty())], streams(0.1), |_| ()).await;
        tries(&fleet.all[0], 3).await;
        let (ready, lines) = (readyz(&fleet.all[0]).await, log.shared());
        assert!(ready.contains(said), "{ready}");
        assert!(lines.len() == 1 && lines[0].contains(said), "{lines:#?}");
    }
    // A store that ends while it decides.
    let (log, mut redis) = (Log::follow(), Redis::start(&[]).await);
    let fleet = Fleet::start(1, &[redis.server()], &[alice(plenty())], streams(0.1), |_| ()).await;
    fleet.shares().await;
    log.shared();
    redis.kill();
    fleet.all[0].until_mode("local").await;
    let lines = log.shared();
    assert!(
        lines.len() == 1 && lines[0].contains("closed the connection: the sidecar connects again"),
        "{lines:#?}"
    );
    tries(&fleet.all[0], 3).await;
    assert!(readyz(&fleet.all[0]).await.contains("start the server, or correct shared.url ("));
    assert_eq!(log.shared(), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh"]
async fn refusal_that_repeats_the_password_is_told_without_it() {
    let answers: [&'static [u8]; 2] =
        [b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2'\r\n", b"hunter2\r\nhunter2\r\n"];
    for answer in answers {
        let (log, server) = (Log::follow(), tcp(other_program(answer).await.port(), None));
        let password = |config: &mut streamgauge::store::Config| {
            config.password = Some(Secret::new("hunter2"));
        };
        let fleet = Fleet::start(1, &[server], &[alice(plenty())], streams(0.1), password).await;
        tries(&fleet.all[0], 2).await;
        let (ready, lines) = (readyz(&fleet.all[0]).await, log.shared());
        assert!(
            lines.len() == 1 && !lines[0].contains("hunter2") && !ready.contains("hunter2"),
            "{lines:#?}"
        );
    }
}
