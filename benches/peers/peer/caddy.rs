//! Caddy, which flushes each write at once.

use std::process::Command;

use anyhow::Result;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "caddy", command };

fn command(&Site { program, files, addr, upstream, workers, .. }: &Site<'_>) -> Result<Command> {
    let text = format!(
        "{{
            admin off
            auto_https off
            persist_config off
            log {{
                level ERROR
            }}
        }}
        http://{addr} {{
            bind {}
            reverse_proxy {upstream} {{
                flush_interval -1
                transport http {{
                    keepalive_idle_conns_per_host 1024
                }}
            }}
        }}
        ",
        addr.ip()
    );
    let config = write(files, "Caddyfile", &text)?;
    let mut command = Command::new(program);
    command.arg("run").args(["--adapter", "caddyfile", "--config"]).arg(config);
    command.env("GOMAXPROCS", workers.to_string());
    // Otherwise Caddy keeps its state in the user's home.
    command.env("HOME", files).env("XDG_DATA_HOME", files).env("XDG_CONFIG_HOME", files);
    Ok(command)
}
