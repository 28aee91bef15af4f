//! Every report is read from the pipe as it was written.

use proptest::prelude::*;

use super::frame::{self, Line};
use crate::{
    analysis::Probe,
    experiment::agent::{Arrival, Ending, Telling},
};

async fn decoded(mut bytes: &[u8], offset: f64) -> Vec<Telling> {
    let mut told = Vec::new();
    while let Some(line) = frame::next(&mut bytes).await.unwrap() {
        told.extend(frame::telling(line, &mut bytes, offset).await.unwrap());
    }
    told
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn telling() -> impl Strategy<Value = Telling> {
    let arrival = (0.0..1e6, any::<u32>(), 0_u32..99, 0.0..1.0)
        .prop_map(|(at, bytes, records, parse)| Arrival { at, bytes, records, parse });
    let arrivals = (any::<u32>(), prop::collection::vec(arrival, 0..20))
        .prop_map(|(agent, arrivals)| Telling::Arrivals { agent, arrivals });
    let lags = (any::<bool>(), prop::collection::vec((0.0..1e6, 0.0..1.0), 0..20)).prop_map(
        |(schedule, samples)| Telling::Lags {
            probe: if schedule { Probe::Schedule } else { Probe::Yield },
            samples,
        },
    );
    let ended = (any::<u32>(), 0_u32..1000, prop::option::of(any::<u64>()), prop::option::of(".*")).prop_map(
        |(agent, quarters, count, failure)| {
            let started = f64::from(quarters) / 4.0;
            Telling::Ended(Box::new(Ending {
                agent,
                started,
                eval_count: count,
                failure,
                ..Ending::default()
            }))
        },
    );
    let over = (0_u32..1000).prop_map(|quarters| Telling::Over { cpu: f64::from(quarters) / 4.0 });
    prop_oneof![arrivals, lags, ended, over]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn process_messages_round_trip(told in prop::collection::vec(telling(), 0..8)) {
        let mut bytes = Vec::new();
        told.iter().for_each(|telling| frame::encode(telling, &mut bytes));
        prop_assert_eq!(block(decoded(&bytes, 0.0)), told);
    }
}

#[test]
fn process_times_are_shifted_to_the_clock_of_the_parent() {
    let mut bytes = Vec::new();
    let arrivals = vec![Arrival { at: 1.0, bytes: 2, records: 1, parse: 0.5 }];
    frame::encode(&Telling::Arrivals { agent: 0, arrivals }, &mut bytes);
    frame::encode(&Telling::Lags { probe: Probe::Yield, samples: vec![(2.0, 0.25)] }, &mut bytes);
    frame::encode(&Telling::Ended(Box::new(Ending { started: 3.0, ..Ending::default() })), &mut bytes);
    let told = block(decoded(&bytes, 100.0));
    let [Telling::Arrivals { arrivals, .. }, Telling::Lags { samples, .. }, Telling::Ended(ending)] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((arrivals[0].at, arrivals[0].parse), (101.0, 0.5));
    assert_eq!(samples[0], (102.0, 0.25));
    assert_eq!(ending.started, 103.0);
}

#[test]
fn process_line_that_is_unknown_is_quoted_and_reading_stops() {
    let error = block(frame::next(&mut &b"Traceback (most recent call last):\n"[..])).unwrap_err();
    assert_eq!(error.to_string(), "it says \"Traceback (most recent call last):\"");
    let greedy = Line::Lags { probe: frame::ProbeName::Yield, rows: usize::MAX };
    let error = block(frame::telling(greedy, &mut &b""[..], 0.0)).unwrap_err();
    assert!(error.to_string().contains("rows at once"), "{error}");
}
