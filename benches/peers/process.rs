//! A process that is measured from outside.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use super::PATIENCE;

/// The length of a tick in /proc: USER_HZ is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);
const PAGE: u64 = 4096;

/// A server, which is killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The process itself, and the workers that it had when it began to listen.
    pids: Vec<u32>,
}

impl Process {
    /// Starts a server and waits until it accepts connections on `addr`.
    pub(crate) fn start(command: &mut Command, addr: SocketAddr) -> Result<Process> {
        let name = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {}", name.display()))?;
        let mut process = Process { pids: vec![child.id()], child };
        let started = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{} ended: {status}", name.display());
            }
            if started.elapsed() > PATIENCE {
                bail!("{} does not listen on {addr}", name.display());
            }
            thread::sleep(Duration::from_millis(10));
        }
        process.pids.extend(children(process.child.id())?);
        Ok(process)
    }

    /// The CPU time so far, of all threads and workers.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for pid in &self.pids {
            let stat = stat(*pid)?;
            ticks += stat[11].parse::<u32>()? + stat[12].parse::<u32>()?;
        }
        Ok(TICK * ticks)
    }

    /// The CPU time so far of the threads that run now, in nanoseconds instead of ticks.
    pub(crate) fn scheduled(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for pid in &self.pids {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let text = fs::read_to_string(thread?.path().join("schedstat"))?;
                nanoseconds +=
                    text.split(' ').next().context("/proc/PID/schedstat is empty")?.parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut pages = 0;
        for pid in &self.pids {
            pages += stat(*pid)?[21].parse::<u64>()?;
        }
        Ok(pages * PAGE)
    }

    /// The most resident memory so far, in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        let mut kilobytes = 0;
        for pid in &self.pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.context("/proc/PID/status has an unexpected format")?;
            kilobytes += peak.trim().trim_end_matches(" kB").parse::<u64>()?;
        }
        Ok(kilobytes << 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The workers are listed first, since a master that is killed leaves them behind.
        let pid = self.child.id();
        let _ = Command::new("kill").arg(pid.to_string()).status();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields of /proc/PID/stat after the name, which may contain any character. The first one is the state.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("/proc/PID/stat has an unexpected format")?;
    Ok(fields.split(' ').map(str::to_owned).collect())
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let parent = parent.to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
        // The process may have ended since.
        if stat(pid).is_ok_and(|stat| stat[1] == parent) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// A free address on loopback.
pub(crate) fn free() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
