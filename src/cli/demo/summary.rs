//! The texts at the start and at the end of the demo.

use std::net::SocketAddr;

use super::interval::Interval;

/// The addresses to open.
pub(super) fn opening(
    clients: u16,
    has_panel: bool,
    fake_gpu: bool,
    ollama: SocketAddr,
    proxy: SocketAddr,
    admin: SocketAddr,
) -> String {
    let keys = if has_panel { "q or Ctrl-C" } else { "Ctrl-C" };
    let gpu = if fake_gpu { "\n  GPU                    fake, with invented figures" } else { "" };
    format!(
        "{} on a simulated Ollama at {ollama}, through the sidecar. Press {keys} to end the demo.\n\
         Some clients disconnect or meet faults on purpose, so that every outcome occurs.\n\
         \n  Address for clients    http://{proxy}\
         \n  Page                   http://{admin}/\
         \n  Metrics                http://{admin}/metrics\
         \n  Running streams        http://{admin}/streams{gpu}\n\n",
        many(clients),
    )
}

/// One line for each second.
pub(super) fn line(newest: &Interval, so_far: &Interval) -> String {
    format!(
        "{:>4.0} s  streams {:>3}  tokens/s {:>5.0}  gap {}  first token {}  overlap {:>4}  {}\n",
        so_far.seconds,
        newest.streams,
        newest.token_rate(),
        Interval::quantiles(&newest.gap),
        Interval::quantiles(&newest.first_token),
        overlap(newest),
        so_far.counted().join("  "),
    )
}

/// The summary at the end.
pub(super) fn closing(clients: u16, whole: &Interval) -> String {
    let overlap = whole.overlap().map_or("no stream ran".to_owned(), |overlap| {
        format!("{overlap:.2} concurrent streams, on average while there was at least one")
    });
    format!(
        "\n{}, {:.1} s\n  outcomes     {}\n  tokens       {} reported by Ollama, {} records with content \
         received, {:.1}/s\n  gap          {}\n  first token  {}\n  overlap      {overlap}\n",
        many(clients),
        whole.seconds,
        whole.counted().join("  "),
        whole.tokens,
        whole.content_records,
        whole.token_rate(),
        Interval::quantiles(&whole.gap),
        Interval::quantiles(&whole.first_token),
    )
}

fn many(clients: u16) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

fn overlap(interval: &Interval) -> String {
    interval.overlap().map_or("-".to_owned(), |overlap| format!("{overlap:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_names_the_keys_that_end_the_demo() {
        let address = "127.0.0.1:1".parse().unwrap();
        let opening = |has_panel| opening(6, has_panel, false, address, address, address);
        assert!(opening(true).contains(" Press q or Ctrl-C to end the demo.\n"));
        // Without a panel no key is read.
        assert!(opening(false).contains(" Press Ctrl-C to end the demo.\n"));
    }

    #[test]
    fn plain_summary_is_one_line_without_escapes() {
        let interval = Interval { seconds: 3.0, streams: 2.0, content_records: 300.0, ..Interval::default() };
        let line = line(&interval, &interval);
        assert!(line.starts_with("   3 s  streams   2  tokens/s   100  gap p50"), "{line}");
        assert!(line.ends_with('\n') && line.lines().count() == 1 && !line.contains('\x1b'), "{line}");
    }
}
