//! LiteLLM's proxy: its pass-through, which does not change bytes, and chats with a model of an Ollama, which it
//! parses and writes again.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "litellm", command };

fn command(&Site { program, files, addr, upstream, .. }: &Site<'_>) -> Result<Command> {
    let through = |path: &str| json!({ "path": path, "target": format!("http://{upstream}{path}") });
    let paths = ["/api/generate", "/api/version"].map(through);
    let config = json!({
        "general_settings": { "pass_through_endpoints": paths },
        "model_list": [{
            "model_name": "sim",
            "litellm_params": { "model": "ollama_chat/sim", "api_base": format!("http://{upstream}") },
        }],
    });
    // JSON is valid YAML.
    let config = write(files, "litellm.yaml", &config.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(config).arg("--host").arg(addr.ip().to_string());
    command.arg("--port").arg(addr.port().to_string());
    command.args(["--num_workers", "1", "--telemetry", "False"]);
    command.current_dir(files).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    Ok(command)
}
