//! Names of files and columns.

pub(super) const PLAN: &str = "plan.toml";
pub(super) const ENVIRONMENT: &str = "environment.json";
pub(super) const RUNS: &str = "runs.csv";
pub(super) const AGENTS: &str = "agents.csv";
pub(super) const CHUNKS: &str = "chunk_metrics.csv";
pub(super) const LAG: &str = "loop_lag.csv";
pub(super) const GPU: &str = "gpu_metrics.csv";
pub(super) const SIDECAR: &str = "sidecar_metrics.csv";
pub(super) const TEXTS: &str = "texts.csv";

pub(super) const RUN_COLUMNS: [&str; 13] = [
    "run",
    "condition",
    "kind",
    "repetition",
    "warm_up",
    "timestamp",
    "wall_s",
    "agents",
    "speedup",
    "efficiency_percent",
    "contention",
    "throughput_delta_tok_s",
    "ttft_delta_ms",
];

pub(super) const AGENT_COLUMNS: [&str; 24] = [
    "run",
    "agent_id",
    "role",
    "model",
    "upstream",
    "scheduled",
    "timestamp",
    "duration_s",
    "ttft_ms",
    "eval_count",
    "eval_duration_ns",
    "prompt_eval_count",
    "prompt_eval_duration_ns",
    "load_duration_ns",
    "total_duration_ns",
    "throughput_tok_s",
    "chunks",
    "bytes",
    "cpu_s",
    "failure",
    "route",
    "queue_s",
    "hidden_queue_s",
    "client_wait_s",
];

pub(super) const CHUNK_COLUMNS: [&str; 8] =
    ["run", "agent_id", "timestamp", "bytes", "records", "gap_ms", "parse_ms", "streams"];

pub(super) const LAG_COLUMNS: [&str; 5] = ["run", "process", "probe", "timestamp", "lag_ms"];

/// The names of nvidia-smi, which TR117 uses.
pub(super) const GPU_COLUMNS: [&str; 8] = [
    "timestamp",
    "gpu",
    "power.draw [W]",
    "utilization.gpu [%]",
    "memory.used [MiB]",
    "pcie.rx [B/s]",
    "pcie.tx [B/s]",
    "energy [J]",
];

pub(super) const SIDECAR_COLUMNS: [&str; 4] = ["run", "upstream", "series", "change"];

pub(super) const TEXT_COLUMNS: [&str; 3] = ["run", "agent_id", "text"];
