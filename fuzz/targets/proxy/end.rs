//! The two sides of an execution: a client, and an upstream that answers as the script says.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, yield_now},
};

use super::{
    message,
    script::{Answer, Leave, Script, Then, writes},
};

/// The script of one execution, and the events that were observed.
pub struct Execution {
    pub script: Script,
    /// Increases with every event and action of either side.
    pub activity: AtomicU64,
    /// Tells the client that no more data will come.
    pub enough: Notify,
    /// The number of requests whose head arrived at the upstream.
    pub asked: AtomicUsize,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

/// The bytes that the client received.
pub struct Got {
    pub bytes: Vec<u8>,
    pub end: End,
}

/// How the client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
    Left,
}

impl Execution {
    pub fn new(script: Script) -> Arc<Execution> {
        Arc::new(Execution {
            script,
            activity: AtomicU64::new(0),
            enough: Notify::new(),
            asked: AtomicUsize::new(0),
            connections: Mutex::default(),
        })
    }

    fn acts(&self) {
        self.activity.fetch_add(1, Relaxed);
    }

    fn next(&self) -> Option<&Answer> {
        self.script.answers.get(self.asked.fetch_add(1, Relaxed))
    }

    /// Closes the remaining connections of the upstream.
    pub fn cut(&self) {
        for connection in self.connections.lock().expect("no thread panics with the lock").drain(..) {
            connection.abort();
        }
    }
}

pub async fn client(proxy: SocketAddr, execution: Arc<Execution>) -> Got {
    let script = &execution.script;
    let mut stream = TcpStream::connect(proxy).await.expect("the proxy listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut read, mut write) = stream.split();
    let (written, is_refused) = (Notify::new(), AtomicBool::new(false));
    let writing = async {
        let bytes: Vec<_> = script.requests.iter().flat_map(|request| &request.bytes).copied().collect();
        for piece in writes(&bytes, script.cut) {
            if write.write_all(piece).await.is_err() {
                // The system reports a reset once, here. After that, reading ends as if the connection had ended
                // cleanly.
                is_refused.store(true, Relaxed);
                break;
            }
            execution.acts();
            yield_now().await;
            yield_now().await;
        }
        if script.leave == Leave::HalfClose {
            // The connection may already be closed.
            let _ = write.shutdown().await;
        }
        written.notify_one();
        std::future::pending::<()>().await
    };
    let reading = async {
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        let mut is_written = false;
        loop {
            if let Leave::Close(after) | Leave::Reset(after) = script.leave
                && is_written
                && got.len() >= after
            {
                return Got { bytes: got, end: End::Left };
            }
            tokio::select! {
                biased;
                count = read.read(&mut buffer) => match count {
                    Ok(0) if is_refused.load(Relaxed) => return Got { bytes: got, end: End::Reset },
                    Ok(0) => return Got { bytes: got, end: End::Closed },
                    Ok(count) => got.extend(&buffer[..count]),
                    Err(_) => return Got { bytes: got, end: End::Reset },
                },
                () = written.notified() => is_written = true,
                () = execution.enough.notified() => return Got { bytes: got, end: End::Left },
            }
            execution.acts();
        }
    };
    let got = tokio::select! { got = reading => got, () = writing => unreachable!("it only writes") };
    if !matches!(script.leave, Leave::Close(_)) {
        // No port stays in TIME_WAIT.
        stream.set_zero_linger().expect("a socket");
    }
    got
}

/// Accepts connections while the process runs. `current` is the running execution. Between executions, it answers
/// probes.
pub async fn upstream(listener: TcpListener, current: Arc<Mutex<Option<Arc<Execution>>>>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a listener that works");
        stream.set_nodelay(true).expect("a socket");
        stream.set_zero_linger().expect("a socket");
        let execution = current.lock().expect("no thread panics with the lock").clone();
        match execution {
            Some(execution) => {
                execution.acts();
                let connection = tokio::spawn(answer(stream, execution.clone()));
                execution.connections.lock().expect("no thread panics with the lock").push(connection);
            }
            None => drop(tokio::spawn(probed(stream))),
        }
    }
}

async fn answer(mut stream: TcpStream, execution: Arc<Execution>) {
    let host = stream.local_addr().expect("a socket").to_string();
    let (mut arrived, mut buffer, mut is_asked) = (Vec::new(), [0; 4096], false);
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        execution.acts();
        arrived.extend(&buffer[..count]);
        while let Some(request) = message::request(&arrived, &host) {
            if !std::mem::replace(&mut is_asked, true) {
                let Some(answer) = execution.next() else { return };
                if say(&mut stream, answer, &execution).await.is_err() {
                    return;
                }
            }
            // Skips the rest of this request before the next one begins.
            let Some(length) = request.length else { break };
            arrived.drain(..length);
            is_asked = false;
        }
    }
}

async fn say(stream: &mut TcpStream, answer: &Answer, execution: &Execution) -> std::io::Result<()> {
    for piece in writes(&answer.bytes, answer.cut) {
        stream.write_all(piece).await?;
        execution.acts();
        yield_now().await;
        yield_now().await;
    }
    match answer.then {
        Then::Wait => Ok(()),
        Then::HalfClose => stream.shutdown().await,
        Then::Reset => Err(std::io::ErrorKind::ConnectionReset.into()),
    }
}

async fn probed(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.is_err() {
            return;
        }
    }
}
