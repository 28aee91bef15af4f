//! The counts that Ollama reports: when they are charged, and when a rate is calculated from them.

use super::*;

#[test]
fn token_count_below_received_records_is_replaced_by_their_number() {
    let bench = bench();
    let last = "{\"done\":true,\"prompt_eval_count\":7,\"eval_count\":1,\"total_duration\":90000000,\
                \"eval_duration\":1000}\n";
    drain(&mut bench.stream([Data(FIRST), Data(SECOND), Data(last)]));
    bench.ended(Outcome::Complete);
    for (series, value) in [
        ("tokens_total{kind=\"output\",model=\"m:latest\"}", 2.0),
        ("usage_understated_total{route=\"generate\"}", 1.0),
        // One token has no gap, so it has no rate.
        ("output_tokens_per_second_count{by=\"ollama\",model=\"m:latest\"}", 0.0),
    ] {
        assert_eq!(bench.value(series), Some(value), "{series}");
    }
}

#[test]
fn prompt_rate_without_count_of_cached_tokens_is_withheld() {
    let cached = "{\"done\":true,\"prompt_eval_count\":15,\"prompt_eval_cached_count\":10,\"eval_count\":2,\
                  \"total_duration\":90000000,\"prompt_eval_duration\":20000000,\"eval_duration\":40000000}\n";
    for (last, tokens, seconds) in [(LAST, 0.0, 0.0), (cached, 5.0, 0.02)] {
        let bench = bench();
        drain(&mut bench.stream([Data(FIRST), Data(SECOND), Data(last)]));
        for (name, value) in [("tokens", tokens), ("seconds", seconds)] {
            let series = format!("prompt_evaluated_{name}_total{{model=\"m:latest\"}}");
            assert_eq!(bench.value(&series), Some(value), "{series}");
        }
    }
}
