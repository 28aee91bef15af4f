//! The scripts in a real Redis against the model, with a clock that the test sets.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::{model::Model, *};
use crate::store::policy::{Rate, Shares};

const SIDECARS: usize = 3;

/// A Redis that ends with the test.
struct Redis {
    child: Child,
    folder: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn programs() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the folder of tests/real/install.sh")]
    let cache = std::env::var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|_| std::env::var("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap().join("streamgauge/bin")
}

impl Redis {
    fn start() -> Redis {
        let folder = TempDir::new().unwrap();
        let child = Command::new(programs().join("redis-server"))
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(folder.path().join("socket"))
            .stdout(Stdio::null())
            .spawn()
            .expect("tests/real/install.sh installs redis-server");
        Redis { child, folder }
    }

    async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let path = self.folder.path().join("socket");
        let connected = async {
            loop {
                match UnixStream::connect(&path).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let stream = tokio::time::timeout(Duration::from_secs(20), connected).await.expect("it starts");
        let info = redis::RedisConnectionInfo::default();
        let (connection, driver) = redis::aio::MultiplexedConnection::new_with_config(
            &info,
            stream,
            redis::AsyncConnectionConfig::new(),
        )
        .await
        .unwrap();
        tokio::spawn(driver);
        connection
    }
}

/// A step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// Microseconds pass.
    Pass(u32),
    /// A sidecar admits these requests. Its clock is not used.
    Admit { sidecar: usize, requests: String, changed: bool },
    /// A sidecar charges tokens, gives leases back and asks for more. A batch may come twice.
    Settle { sidecar: usize, charge: i64, gives: usize, wanted: usize, again: bool },
    /// An earlier call that charges arrives once more, after later ones.
    Late(usize),
    /// Another program overwrites the rates (0) or the leases (1) of the caller with one of these values, or removes
    /// them.
    Replace { key: usize, value: Option<usize> },
}

/// Commands that write values of another program: another type, fields with other texts, and a time beyond every debt.
const FOREIGN: [&str; 4] = [
    "SET {key} value",
    "RPUSH {key} value",
    "HSET {key} requests value tokens value sidecar9 value",
    "HSET {key} requests 9999999999999999|0|1/1/1 tokens 9999999999999999|0|1/1/1 sidecar9 1|-1|1",
];
const KEYS: [&str; 2] = ["{test}:rates:a", "{test}:leases:a"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        prop_oneof![0_u32..1_000, 0_u32..3_000_000, 0_u32..12_000_000].prop_map(Step::Pass),
        (0..SIDECARS, "[gp]{1,8}", prop::bool::weighted(0.05))
            .prop_map(|(sidecar, requests, changed)| Step::Admit { sidecar, requests, changed }),
        (0..SIDECARS, prop_oneof![-2_i64..3, 0_i64..1_000_000], 0_usize..4, 0_usize..4, any::<bool>())
            .prop_map(|(sidecar, charge, gives, wanted, again)| Step::Settle {
                sidecar,
                charge,
                gives,
                wanted,
                again
            }),
        (0_usize..8).prop_map(Step::Late),
        (0_usize..2, prop::option::of(0..FOREIGN.len()))
            .prop_map(|(key, value)| Step::Replace { key, value }),
    ];
    prop::collection::vec(step, 1..60)
}

fn rates() -> impl Strategy<Value = Option<Rate>> {
    let per = prop_oneof![Just(1_000_000_u64), Just(60_000_000), Just(86_400_000_000)];
    prop::option::weighted(
        0.9,
        (1_u32..50, per, 1_u32..20).prop_map(|(count, per, burst)| Rate { count, per, burst }),
    )
}

/// The text of a script whose clock is the second part of its last argument.
fn at(script: Script, now: u128) -> String {
    let clock = format!("{{ {}, {} }}", now / 1_000_000, now % 1_000_000);
    let text = script.text().replace("redis.call('TIME')", &clock);
    // Redis expires keys by its own clock, which stands still in this test.
    let text = text.replace("redis.call('PEXPIRE'", "redis.call('EXISTS'");
    assert!(!text.contains("'TIME'") && text.contains("'EXISTS'"));
    text
}

async fn run(
    connection: &mut redis::aio::MultiplexedConnection,
    text: &str,
    write: impl Fn(&mut Cmd),
) -> redis::RedisResult<redis::Value> {
    let mut command = redis::cmd("EVAL");
    command.arg(text);
    write(&mut command);
    command.query_async(connection).await
}

/// Deletes a key, and runs these commands. A bar in a word stands for a space.
async fn replace(connection: &mut redis::aio::MultiplexedConnection, key: &str, command: Option<&str>) {
    let _: () = redis::cmd("DEL").arg(key).query_async(connection).await.unwrap();
    let Some(command) = command else { return };
    let mut words = command.split(' ').map(|word| word.replace("{key}", key).replace('|', " "));
    let mut command = redis::cmd(&words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    let _: redis::Value = command.query_async(connection).await.unwrap();
}

/// Admits in the store and in the model, which agree. Returns the leases taken.
async fn admit(
    connection: &mut redis::aio::MultiplexedConnection,
    model: &mut Model,
    names: &[Names],
    sidecar: usize,
    call: &AdmitCall<'_>,
) -> usize {
    let text = at(Script::Admit, model.now);
    let value = run(connection, &text, |command| call.write(&names[sidecar], command)).await;
    let Some(expected) = model.admit(sidecar, &call.requests, call.shares, call.held, 0) else {
        assert_eq!(value.unwrap_err().code(), Some("FOREIGN"), "{call:?}");
        return 0;
    };
    assert_eq!(Admitted::read(&value.unwrap()).unwrap(), expected, "{call:?}");
    expected.taken
}

/// Settles in the store and in the model, which agree. Returns the leases taken.
async fn settle(
    connection: &mut redis::aio::MultiplexedConnection,
    model: &mut Model,
    names: &[Names],
    (sidecar, entry, batch): &(usize, SettleEntry, u64),
) -> usize {
    let (text, entries) = (at(Script::Settle, model.now), [entry.clone()]);
    let write = |command: &mut Cmd| write_settle(&entries, *batch, &names[*sidecar], command);
    let value = run(connection, &text, write).await.unwrap();
    let expected = model.settle(*sidecar, entry, *batch);
    assert_eq!(read_settle(&value).unwrap().1, [expected], "{entry:?}, batch {batch}");
    expected.taken
}

async fn agree(connection: &mut redis::aio::MultiplexedConnection, shares: Shares, steps: &[Step]) {
    let _: () = redis::cmd("FLUSHALL").query_async(connection).await.unwrap();
    let names: Vec<_> = (0..SIDECARS).map(|who| Names::new("test", format!("sidecar{who}"))).collect();
    let mut model = Model::default();
    model.now = 1_800_000_000_000_000;
    let (mut held, mut batch) = ([0_usize; SIDECARS], 0);
    let mut sent: Vec<(usize, SettleEntry, u64)> = Vec::new();
    for step in steps {
        match step {
            Step::Pass(time) => {
                model.now += u128::from(*time);
                // A sidecar renews its leases in time, or it has crashed and begins again.
                held = std::array::from_fn(|sidecar| model.held(sidecar));
            }
            Step::Admit { sidecar, requests, changed } => {
                let mut shares = shares;
                if let Some(rate) = shares.requests.as_mut().filter(|_| *changed) {
                    rate.burst += 1;
                }
                let call = AdmitCall {
                    caller: "a",
                    requests: requests.clone(),
                    shares,
                    held: held[*sidecar],
                    wanted: 0,
                };
                held[*sidecar] += admit(connection, &mut model, &names, *sidecar, &call).await;
            }
            Step::Settle { sidecar, charge, gives, wanted, again } => {
                held[*sidecar] = held[*sidecar].saturating_sub(*gives);
                batch += 1;
                for _ in 0..=usize::from(*again) {
                    let leases = shares.max_streams.map(|most| (most, held[*sidecar], *wanted));
                    let entry = SettleEntry {
                        caller: "a".to_owned(),
                        charge: *charge,
                        tokens: shares.tokens,
                        leases,
                    };
                    let call = (*sidecar, entry, batch);
                    held[*sidecar] += settle(connection, &mut model, &names, &call).await;
                    sent.push(call);
                }
            }
            Step::Late(at) => {
                let Some((sidecar, entry, batch)) = sent.get(*at).cloned() else { continue };
                // It is on a connection that was given up, which has no leases to tell.
                let call = (sidecar, SettleEntry { leases: None, ..entry }, batch);
                settle(connection, &mut model, &names, &call).await;
            }
            Step::Replace { key, value } => {
                replace(connection, KEYS[*key], value.map(|value| FOREIGN[value])).await;
                model.replace(*key, value.is_some());
                held = std::array::from_fn(|sidecar| model.held(sidecar));
            }
        }
        let most = shares.max_streams.unwrap_or(0);
        assert!(shares.max_streams.is_none() || model.leased() <= most, "more leases than {most}");
    }
}

#[test]
#[ignore = "needs redis-server of tests/real/install.sh"]
fn scripts_in_a_real_redis_do_what_the_model_does() {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connection = runtime.block_on(redis.connect());
    let shares = (rates(), rates(), prop::option::of(1_usize..6))
        .prop_map(|(requests, tokens, max_streams)| Shares { requests, tokens, max_streams });
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(shares, steps()), |(shares, steps)| {
            runtime.block_on(agree(&mut connection.clone(), shares, &steps));
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "needs redis-server of tests/real/install.sh"]
fn a_hundred_thousand_random_charges_leave_the_exact_debt() {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = redis.connect().await;
        // 7 a minute: the time of one token is no whole number of microseconds.
        let rate = Rate { count: 7, per: 60_000_000, burst: 7 };
        let names = Names::new("test", "sidecar".to_owned());
        let text = at(Script::Settle, 1_800_000_000_000_000);
        let mut charged = 0_u128;
        let mut last = None;
        for batch in 1..=1_000_u64 {
            let charges: Vec<i64> =
                (0..100).map(|_| i64::try_from(crate::store::chance::number() % 97).unwrap()).collect();
            let entries: Vec<_> = charges
                .iter()
                .map(|charge| SettleEntry {
                    caller: "a".to_owned(),
                    charge: *charge,
                    tokens: Some(rate),
                    leases: None,
                })
                .collect();
            charged += charges.iter().map(|charge| u128::from(charge.unsigned_abs())).sum::<u128>();
            let value =
                run(&mut connection, &text, |command| write_settle(&entries, batch, &names, command)).await;
            last = read_settle(&value.unwrap()).unwrap().1.last().copied();
        }
        let expected = charged * u128::from(rate.per) / u128::from(rate.count);
        assert_eq!(last.unwrap().ahead.map(u128::from), Some(expected), "{charged} tokens");
    });
}
