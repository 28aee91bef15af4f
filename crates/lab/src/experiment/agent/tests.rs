//! Runs agents against the simulator, and tests how they handle broken answers.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use super::{answer::IncomingAnswer, bucket::Bucket, *};

fn read(pieces: &[&str]) -> (Ending, u32, u32) {
    let (mut answer, mut ending) = (IncomingAnswer::new(true), Ending::default());
    let (mut records, mut tokens) = (0, 0);
    for piece in pieces {
        let read = answer.read(piece.as_bytes(), &mut ending);
        records += read.records;
        tokens += read.tokens;
    }
    let read = answer.finish(&mut ending);
    (ending, records + read.records, tokens + read.tokens)
}

#[test]
fn agent_reads_records_split_anywhere() {
    let whole = "{\"response\":\"a\\n\",\"done\":false}\n{\"message\":{\"content\":\"b\"}}\n\
                 {\"response\":\"\",\"done\":true,\"eval_count\":2,\"eval_duration\":5}\n";
    let (ending, records, tokens) = read(&[whole]);
    assert_eq!((records, tokens, ending.failure.clone()), (3, 2, None));
    assert_eq!((ending.eval_count, ending.eval_duration), (Some(2), Some(5)));
    assert_eq!(ending.text.as_deref(), Some("a\nb"));
    for cut in 1..whole.len() {
        let found = read(&[&whole[..cut], &whole[cut..]]);
        assert_eq!(found, (ending.clone(), records, tokens), "cut at {cut}");
    }
    // The last newline may be missing.
    assert_eq!(read(&[whole.trim_end()]).0, ending);
}

#[test]
fn agent_with_incomplete_response_fails_with_reason() {
    let failure = |text: &str| read(&[text]).0.failure.unwrap();
    assert_eq!(failure("{\"response\":\"a\"}\n"), "the stream ended without its final record");
    assert_eq!(failure("{\"error\":\"out of\\nmemory\"}\n"), "Ollama says: out of memory");
    assert_eq!(failure("nonsense\n"), "a line that is not JSON");
}

/// Returns the tokens that pass in 10 s from a source that always has one.
async fn passed(mut bucket: Bucket) -> u32 {
    let began = Instant::now();
    let mut passed = 0;
    while began.elapsed() < Duration::from_secs(10) {
        bucket.acquire(1).await;
        passed += 1;
    }
    passed
}

#[tokio::test(start_paused = true)]
async fn agent_token_bucket_keeps_its_rate() {
    let tokens = passed(Bucket::right(60.0)).await;
    assert!((595..=601).contains(&tokens), "{tokens}");
}

#[tokio::test(start_paused = true)]
async fn agent_token_bucket_of_tr117_lets_twice_its_rate_through() {
    let tokens = passed(Bucket::leaky(60.0)).await;
    assert!((1_100..=1_205).contains(&tokens), "{tokens}");
}

mod simulated {
    use super::*;
    use crate::analysis::Probe;
    use streamgauge_simulate::{Config, Simulator};

    fn job(url: &str, agents: u32) -> Job {
        let task = |agent| Task {
            due: None,
            agent,
            url: format!("{url}/api/generate"),
            body: serde_json::json!({"model": "sim", "prompt": "why", "options": {"num_predict": 20}}),
        };
        Job { tasks: (0..agents).map(task).collect(), record: true, ..Job::default() }
    }

    async fn simulator(config: Config) -> String {
        let bound = Simulator::bind(Config { load_time: Duration::ZERO, rate: 200.0, ..config }).unwrap();
        let url = format!("http://{}", bound.addr());
        tokio::spawn(bound.run(std::future::pending()));
        url
    }

    async fn told(job: Job) -> Vec<Telling> {
        let (tell, mut told) = mpsc::channel(64);
        tokio::spawn(work(job).unwrap().begin(Clock::from(100.0), tell));
        let mut all = Vec::new();
        while let Some(telling) = told.recv().await {
            all.push(telling);
        }
        all
    }

    fn endings(told: &[Telling]) -> Vec<&Ending> {
        let ending = |telling: &'_ Telling| matches!(telling, Telling::Ended(_));
        told.iter()
            .filter(|telling| ending(telling))
            .map(|telling| match telling {
                Telling::Ended(ending) => &**ending,
                _ => unreachable!(),
            })
            .collect()
    }

    #[tokio::test]
    async fn agent_reports_every_chunk_and_lag_reading() {
        let told = told(job(&simulator(Config::default()).await, 2)).await;
        let found = endings(&told);
        assert_eq!(found.len(), 2);
        for ending in found {
            assert_eq!((ending.failure.as_deref(), ending.eval_count), (None, Some(20)));
            let first = ending.first_token.unwrap();
            assert!(0.0 < first && first < ending.duration, "{ending:?}");
            assert!(ending.started >= 100.0);
            let arrivals: Vec<Arrival> = told
                .iter()
                .filter_map(|telling| match telling {
                    Telling::Arrivals { agent, arrivals } if *agent == ending.agent => Some(arrivals.clone()),
                    _ => None,
                })
                .flatten()
                .collect();
            assert_eq!(arrivals.len() as u64, ending.chunks);
            assert_eq!(arrivals.iter().map(|arrival| u64::from(arrival.bytes)).sum::<u64>(), ending.bytes);
            assert_eq!(arrivals.iter().map(|arrival| arrival.records).sum::<u32>(), 21);
            assert!(arrivals.is_sorted_by(|a, b| a.at <= b.at));
        }
        for wanted in [Probe::Schedule, Probe::Yield] {
            let seen = |telling: &Telling| matches!(telling, Telling::Lags { probe, .. } if *probe == wanted);
            assert!(told.iter().any(seen), "{wanted:?}");
        }
        assert!(matches!(told.last(), Some(Telling::Over { cpu }) if *cpu > 0.0));
    }

    #[tokio::test]
    async fn agent_batches_make_fewer_events_of_the_same_bytes() {
        let url = simulator(Config::default()).await;
        let plain = told(job(&url, 1)).await;
        let batched = told(Job { batch: Some(0.05), ..job(&url, 1) }).await;
        let (plain, batched) = (endings(&plain)[0], endings(&batched)[0]);
        assert!(2 * batched.chunks < plain.chunks, "{} of {}", batched.chunks, plain.chunks);
        assert_eq!((batched.failure.as_deref(), batched.eval_count), (None, Some(20)));
    }

    #[tokio::test]
    async fn agent_with_pace_takes_its_time() {
        let url = simulator(Config { ..Config::default() }).await;
        let told = told(Job { pace: Some(50.0), ..job(&url, 1) }).await;
        let duration = endings(&told)[0].duration;
        assert!(duration >= 20.0 / 50.0, "{duration}");
    }

    #[tokio::test]
    async fn agent_without_recording_reports_only_its_end() {
        let told = told(Job { record: false, ..job(&simulator(Config::default()).await, 2) }).await;
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[tokio::test]
    async fn agent_that_is_refused_or_cut_reports_it() {
        let fault = |faults: &str| Config { faults: faults.parse().unwrap(), ..Config::default() };
        for (faults, expected) in [
            ("refuse=1", "503 Service Unavailable: Ollama says: "),
            ("truncate=1", "the stream ended without its final record"),
            ("error=1", "Ollama says: "),
        ] {
            let told = told(job(&simulator(fault(faults)).await, 1)).await;
            let failure = endings(&told)[0].failure.clone().unwrap();
            assert!(failure.starts_with(expected), "{faults}: {failure}");
        }
        let reset = told(job(&simulator(fault("reset=1")).await, 1)).await;
        assert!(endings(&reset)[0].failure.is_some());
        let nobody = told(job("http://127.0.0.1:1", 1)).await;
        assert!(endings(&nobody)[0].failure.as_deref().unwrap().contains("refused"));
    }
}

mod open_loop {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::sleep_until,
    };

    /// The time between two requests.
    const EVERY: f64 = 0.02;
    /// The server answers at once, except in this part of the run, in which it answers nothing.
    const STALL: (f64, f64) = (0.5, 1.5);

    /// Answers each request on a connection at once, or at the end of the stall.
    async fn serve(mut socket: TcpStream, began: Instant) {
        let mut bytes = vec![0; 4096];
        while let Ok(1..) = socket.read(&mut bytes).await {
            let now = began.elapsed().as_secs_f64();
            if now > STALL.0 && now < STALL.1 {
                sleep_until(began + Duration::from_secs_f64(STALL.1)).await;
            }
            let body =
                "{\"response\":\"a\",\"done\":false}\n{\"response\":\"\",\"done\":true,\"eval_count\":1}\n";
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            if socket.write_all((head + body).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn endings(requests: u32, outstanding: usize) -> Vec<Ending> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/generate", listener.local_addr().unwrap());
        let began = Instant::now();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, began));
            }
        });
        let task = |agent| Task {
            agent,
            due: Some(EVERY * f64::from(agent)),
            url: url.clone(),
            body: serde_json::json!({}),
        };
        let open = Some(Open { outstanding, timeout: 10.0 });
        let job = Job { tasks: (0..requests).map(task).collect(), open, record: true, ..Job::default() };
        let (tell, mut told) = mpsc::channel(8);
        let ready = work(job).unwrap();
        let working = tokio::spawn(ready.begin(Clock::from(0.0), tell));
        let mut endings = Vec::new();
        while let Some(telling) = told.recv().await {
            if let Telling::Ended(ending) = telling {
                endings.push(*ending);
            }
        }
        working.await.unwrap();
        server.abort();
        endings
    }

    fn latency(ending: &Ending) -> f64 {
        ending.started + ending.duration - ending.scheduled.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn load_generator_keeps_sending_while_the_upstream_stalls_so_p99_contains_the_stall() {
        let endings = endings(100, 1000).await;
        assert!(endings.iter().all(|ending| ending.failure.is_none()), "{endings:?}");
        let mut latencies: Vec<f64> = endings.iter().map(latency).collect();
        latencies.sort_by(f64::total_cmp);
        // Half of the requests were due during the stall of one second, one every 20 ms. A client that waits for each
        // response would have sent one of them.
        let stalled = latencies.iter().filter(|latency| **latency > 0.1).count();
        assert!((40..=50).contains(&stalled), "{stalled}");
        assert!(latencies[98] > 0.9, "{latencies:?}");
        // The generator itself was never held up as long as the stall.
        let late = endings.iter().map(|ending| ending.started - ending.scheduled.unwrap());
        assert!(late.fold(0.0, f64::max) < 0.4);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn request_beyond_the_outstanding_limit_is_not_sent_and_fails() {
        let endings = endings(60, 5).await;
        assert_eq!(endings.len(), 60);
        let refused: Vec<&Ending> = endings.iter().filter(|ending| ending.failure.is_some()).collect();
        // From 0.5 s to 1.2 s, 35 requests are due, and five of them may wait.
        assert!((25..=35).contains(&refused.len()), "{}", refused.len());
        for ending in refused {
            assert_eq!(ending.failure.as_deref(), Some("not sent: 5 requests were outstanding"));
            assert_eq!(ending.chunks, 0);
        }
    }
}
