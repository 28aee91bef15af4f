//! HAProxy.

use std::process::Command;

use anyhow::Result;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "haproxy", command };

fn command(&Site { program, files, addr, upstream, workers, .. }: &Site<'_>) -> Result<Command> {
    let text = format!(
        "global
            nbthread {workers}
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
