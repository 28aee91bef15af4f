//! What is said before and after.

use std::net::SocketAddr;

use super::interval::Interval;

/// The addresses to open.
pub(super) fn opening(
    agents: u16,
    fake_gpu: bool,
    ollama: SocketAddr,
    proxy: SocketAddr,
    admin: SocketAddr,
) -> String {
    let gpu = if fake_gpu { "\n  GPU                    fake: its figures are made up" } else { "" };
    format!(
        "{} at work on a simulated Ollama at {ollama}, through the sidecar; Ctrl-C ends it\n\
         \n  Ollama by the sidecar  http://{proxy}\
         \n  its page               http://{admin}/\
         \n  metrics                http://{admin}/metrics\
         \n  streams that run       http://{admin}/streams{gpu}\n\n",
        many(agents),
    )
}

/// The whole of it, when it is over.
pub(super) fn closing(agents: u16, whole: &Interval) -> String {
    let overlap = whole.overlap().map_or("none ran".to_owned(), |overlap| {
        format!("{overlap:.2} streams at once, on average while there was one")
    });
    format!(
        "\n{}, {:.1} s\n  outcomes     {}\n  tokens       {} told by Ollama, {} records with content \
         seen, {:.1}/s\n  gap          {}\n  first token  {}\n  overlap      {overlap}\n",
        many(agents),
        whole.seconds,
        whole.counted().join("  "),
        whole.tokens,
        whole.content_records,
        whole.token_rate(),
        Interval::quantiles(&whole.gap),
        Interval::quantiles(&whole.first_token),
    )
}

fn many(agents: u16) -> String {
    format!("{agents} agent{}", if agents == 1 { "" } else { "s" })
}
