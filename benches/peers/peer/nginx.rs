//! nginx, unbuffered.

use std::{net::SocketAddr, path::Path, process::Command, thread};

use anyhow::Result;

use super::{Program, write};

pub(super) const PROGRAM: Program = Program { name: "nginx", command };

fn command(program: &Path, files: &Path, addr: SocketAddr, upstream: SocketAddr) -> Result<Command> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let place = files.display();
    let text = format!(
        "daemon off;
        worker_processes {workers};
        pid {place}/pid;
        error_log stderr crit;
        events {{ worker_connections 16384; }}
        http {{
            access_log off;
            client_body_temp_path {place}/client;
            proxy_temp_path {place}/proxy;
            fastcgi_temp_path {place}/fastcgi;
            uwsgi_temp_path {place}/uwsgi;
            scgi_temp_path {place}/scgi;
            upstream ollama {{ server {upstream}; keepalive 1024; }}
            server {{
                listen {addr} backlog=4096;
                location / {{
                    proxy_pass http://ollama;
                    proxy_http_version 1.1;
                    proxy_set_header Host {upstream};
                    proxy_set_header Connection \"\";
                    proxy_buffering off;
                    proxy_read_timeout 600s;
                }}
            }}
        }}
        "
    );
    let config = write(files, "nginx.conf", &text)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(files).arg("-c").arg(config).args(["-e", "stderr"]);
    Ok(command)
}
