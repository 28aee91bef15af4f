//! A row for each recording.

use super::{super::Report, Grid, cell};

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid =
        Grid::new("Recordings", "", &["recording", "plan", "machine", "GPU", "Ollama", "streamgauge"], 6);
    for source in &report.sources {
        let environment = source.environment.as_ref();
        let machine = environment.map(|environment| {
            let machine = &environment.machine;
            let cpu = machine.cpu.as_deref().unwrap_or(&machine.architecture);
            format!("{cpu}, {} cores, {}", machine.cores, machine.system)
        });
        let gpus = environment.map(|environment| {
            let names: Vec<&str> = environment.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
            if names.is_empty() { "none".into() } else { names.join(", ") }
        });
        let ollamas = environment.map(|environment| {
            let mut versions: Vec<&str> =
                environment.upstreams.values().filter_map(|upstream| upstream.version.as_deref()).collect();
            versions.dedup();
            let addresses = match environment.upstreams.len() {
                1 => "1 address".to_owned(),
                several => format!("{several} addresses"),
            };
            format!("{} at {addresses}", versions.join(", "))
        });
        grid.rows.push(vec![
            source.name.clone(),
            cell(source.plan.clone()),
            cell(machine),
            cell(gpus),
            cell(ollamas),
            cell(environment.map(|environment| environment.streamgauge.clone())),
        ]);
    }
    grid
}
