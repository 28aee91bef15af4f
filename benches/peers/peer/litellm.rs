//! LiteLLM's proxy. Its pass-through is measured, which leaves bytes as they are: what it does to the answers of a
//! model that it knows costs more.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "litellm", command };

fn command(&Site { program, files, addr, upstream, .. }: &Site<'_>) -> Result<Command> {
    let through = |path: &str| json!({ "path": path, "target": format!("http://{upstream}{path}") });
    let paths = ["/api/generate", "/api/version"].map(through);
    let config = json!({ "general_settings": { "pass_through_endpoints": paths } });
    // JSON is YAML too.
    let config = write(files, "litellm.yaml", &config.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(config).arg("--host").arg(addr.ip().to_string());
    command.arg("--port").arg(addr.port().to_string());
    command.args(["--num_workers", "1", "--telemetry", "False"]);
    command.current_dir(files).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    Ok(command)
}
