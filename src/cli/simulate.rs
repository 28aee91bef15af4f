//! `simulate`: runs a simulated Ollama.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::{Args, value_parser};

use super::{CommandFailure, Global, Process, Stop, runtimes};
use crate::{
    config,
    simulate::{ChatPath, Cloud, Config, Faults, OllamaVersion, Simulator},
};

/// Run a simulated Ollama: the real wire format of a version, at a configured speed
///
/// It reads no configuration. SIGTERM and SIGINT end it and its streams at once, as they end Ollama.
#[derive(Args, Debug)]
pub(super) struct Simulate {
    /// The version of Ollama to simulate: 0.12, 0.33 or 0.34
    #[arg(long, value_name = "VERSION", default_value_t = OllamaVersion::default())]
    ollama_version: OllamaVersion,
    /// The address to listen on
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:11434", value_parser = config::address)]
    listen: SocketAddr,
    /// The name of a model; repeat the flag for more models
    #[arg(long = "model", value_name = "NAME", default_value = "sim:latest")]
    models: Vec<String>,
    /// The tokens of a response; a request can ask for fewer
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..))]
    tokens: u32,
    /// The context of a request that does not set num_ctx; a longer prompt is cut or refused, as in that version
    #[arg(long, value_name = "TOKENS", default_value_t = 4096, value_parser = value_parser!(u32).range(1..))]
    context: u32,
    /// Refuse embeddings, as a model that only generates does
    #[arg(long)]
    no_embeddings: bool,
    /// The state of Ollama's cloud, which runs the models NAME:cloud and NAME:TAG-cloud: answers, signed-out (401),
    /// unreachable (502) or disabled (403)
    #[arg(long, value_name = "STATE", default_value_t = Cloud::default())]
    cloud: Cloud,
    /// How chats are rendered: go-template sends a tool call as a record of its own, native puts all calls into the
    /// last record
    ///
    /// Version 0.12 has go-template only. In both, nothing is sent while the tokens of a call are generated.
    #[arg(long, value_name = "PATH", default_value_t = ChatPath::default())]
    chat: ChatPath,
    /// The tool calls in a response to a chat with tools
    #[arg(long, value_name = "N", default_value_t = 1)]
    tool_calls: u32,
    /// The tokens of text before the first tool call
    #[arg(long, value_name = "N", default_value_t = 0)]
    tool_text: u32,
    /// The tokens per second of a stream that runs alone; 0: as fast as the client reads
    #[arg(long, value_name = "TOKENS_PER_S", default_value_t = 50.0, value_parser = not_negative)]
    rate: f64,
    /// The time to load a model
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = config::duration)]
    load_time: Duration,
    /// The prompt tokens per second; 0: a prompt takes no time
    #[arg(long, value_name = "TOKENS_PER_S", default_value_t = 2000.0, value_parser = not_negative)]
    prefill_rate: f64,
    /// The concurrent streams of a model
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    parallel: usize,
    /// The most requests that wait
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_queue: usize,
    /// The cost of each further stream for the others: of n streams, each runs at rate / (1 + F × (n − 1))
    #[arg(long, value_name = "F", default_value_t = 0.1, value_parser = not_negative)]
    contention: f64,
    /// The cost of each pair of streams: G × n × (n − 1) is added to the divisor of --contention. The throughput then
    /// peaks at a number of streams, the square root of (1 − F) / G
    #[arg(long, value_name = "G", default_value_t = 0.0, value_parser = not_negative)]
    congestion: f64,
    /// The variation of the time between two tokens, from 0 to 1; 0.1 is 10 % in both directions
    #[arg(long, value_name = "F", default_value_t = 0.1, value_parser = share)]
    jitter: f64,
    /// The faults to cause, as in split=0.2,stall=0.05:2s
    ///
    /// Each is NAME=PROBABILITY[:DURATION], with commas between them. A probability is from 0 to 1.
    ///
    /// For each record: split (it arrives in two chunks), batch (it arrives in one chunk with the next one), garbage (a
    /// line that is not JSON comes before it).
    ///
    /// For each stream: stall (a pause in the middle, 2s by default), slow-head (the head is late, by 500ms by
    /// default), reset (the connection breaks), truncate (the stream ends without its final record), error (an error
    /// in the middle), refuse (503 at once).
    #[arg(long, value_name = "SPEC", default_value = "", hide_default_value = true)]
    faults: Faults,
    /// The random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Simulate {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        let _ = (process.log)(&global.log());
        let stop = (process.signals)().context("cannot listen for signals")?;
        let main = runtimes::main().context("cannot start the main runtime")?;
        let served = main.block_on(simulate(self.config(), stop));
        main.shutdown_background();
        Ok(served?)
    }

    fn config(self) -> Config {
        Config {
            version: self.ollama_version,
            listen: self.listen,
            models: self.models,
            tokens: self.tokens,
            context: self.context,
            embeddings: !self.no_embeddings,
            cloud: self.cloud,
            chat: self.chat,
            tool_calls: self.tool_calls,
            tool_text: self.tool_text,
            rate: self.rate,
            load_time: self.load_time,
            prefill_rate: self.prefill_rate,
            parallel: self.parallel,
            max_queue: self.max_queue,
            contention: self.contention,
            congestion: self.congestion,
            jitter: self.jitter,
            faults: self.faults,
            seed: self.seed,
        }
    }
}

async fn simulate(config: Config, stop: Stop) -> anyhow::Result<()> {
    let listen = config.listen;
    let bound = Simulator::bind(config).with_context(|| {
        format!("cannot listen on {listen}: free the address, or choose another one with --listen")
    })?;
    tracing::info!(ollama = %bound.addr(), "listening");
    stop.bounds(bound.run(stop.drain())).await
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("write a number that is 0 or greater".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    not_negative(text)
        .ok()
        .filter(|share| *share <= 1.0)
        .ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= 1)
        .ok_or_else(|| "write a whole number that is 1 or greater".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        simulate: Simulate,
    }

    fn parse(arguments: &[&str]) -> Result<Simulate, clap::Error> {
        Line::try_parse_from([&["simulate"], arguments].concat()).map(|line| line.simulate)
    }

    #[test]
    fn simulate_without_flags_is_default_simulator_on_port_of_ollama() {
        let library = Config { listen: "127.0.0.1:11434".parse().unwrap(), ..Config::default() };
        assert_eq!(format!("{:?}", parse(&[]).unwrap().config()), format!("{library:?}"));
    }

    #[test]
    fn simulate_accepts_every_fault_of_its_help() {
        let spec = "split=0.2,batch=0.2,garbage=0.1,stall=0.05:2s,slow-head=1:1s,reset=0.1,truncate=0.1,error=0.1,refuse=0";
        parse(&["--faults", spec]).unwrap();
        assert!(parse(&["--faults", "stall=2"]).is_err());
    }

    #[test]
    fn simulate_with_invalid_number_is_usage_error() {
        for wrong in [
            ["--rate", "-1"],
            ["--rate", "NaN"],
            ["--jitter", "2"],
            ["--parallel", "0"],
            ["--load-time", "1"],
            ["--ollama-version", "0.35"],
            ["--chat", "jinja"],
            ["--cloud", "rainy"],
            ["--context", "0"],
        ] {
            assert!(parse(&[&format!("{}={}", wrong[0], wrong[1])]).is_err(), "{wrong:?}");
        }
    }
}
