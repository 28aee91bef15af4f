//! HAProxy.

use std::{process::Command, thread};

use anyhow::Result;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "haproxy", command };

fn command(&Site { program, files, addr, upstream, .. }: &Site<'_>) -> Result<Command> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let text = format!(
        "global
            nbthread {threads}
        defaults
            mode http
            option http-no-delay
            timeout connect 10s
            timeout client 600s
            timeout server 600s
        frontend streams
            bind {addr} backlog 4096
            default_backend ollama
        backend ollama
            http-reuse always
            server one {upstream}\n"
    );
    let config = write(files, "haproxy.cfg", &text)?;
    let mut command = Command::new(program);
    command.arg("-q").arg("-f").arg(config);
    Ok(command)
}
