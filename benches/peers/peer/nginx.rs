//! nginx without buffering.

use std::process::Command;

use anyhow::Result;

use super::{Limits, Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "nginx", command };

fn command(&Site { program, files, addr, upstream, workers, limits }: &Site<'_>) -> Result<Command> {
    let place = files.display();
    let connections = limits.map_or(16_384, |limits| limits.connections);
    let patience = limits.map_or_else(String::new, |Limits { head, body, .. }| {
        format!("client_header_timeout {}ms; client_body_timeout {}ms;", head.as_millis(), body.as_millis())
    });
    let text = format!(
        "daemon off;
        worker_processes {workers};
        pid {place}/pid;
        error_log stderr crit;
        events {{ worker_connections {connections}; }}
        http {{
            access_log off;
            {patience}
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
