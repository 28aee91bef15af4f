//! XID errors, and the errors of memory.

use super::*;

#[test]
fn xid_errors_are_counted_by_gpu_and_code_also_of_a_gpu_that_is_lost() {
    let reader = Scripted::of([h100(), h100()]);
    let mut stand = Stand::new(reader.clone());
    stand.round(0).unwrap();
    let count = |stand: &Stand, gpu: &str, xid: &str| {
        stand.series().get(&format!(r#"xid_errors_total{{gpu="{gpu}",xid="{xid}"}}"#)).copied()
    };
    assert_eq!([count(&stand, "0", "79"), count(&stand, "1", "other")], [Some(0.0), Some(0.0)]);

    let report = |(position, code, errors)| XidReport { position, code, errors };
    reader.script().xid_errors = [(1, 79, 1), (0, 13, 2), (0, 4711, 1), (7, 79, 1)].map(report).into();
    reader.script().samples.insert(1, Err(CollectError::Failed("GPU is lost".to_owned())));
    assert!(stand.round(100).is_err());
    for (gpu, xid, errors) in [("0", "13", 2.0), ("0", "other", 1.0), ("0", "79", 0.0), ("1", "79", 1.0)] {
        assert_eq!(count(&stand, gpu, xid), Some(errors), "GPU {gpu}, XID {xid}");
    }
    // Counters continue when the GPU is found again.
    reader.script().samples.insert(1, Ok(h100()));
    reader.script().xid_errors = vec![report((1, 79, 1))];
    stand.round(11_000).unwrap();
    assert_eq!(count(&stand, "1", "79"), Some(2.0));
}

#[test]
fn gpu_whose_driver_reports_no_xid_errors_has_no_series_of_them() {
    let reader = Scripted::of([h100()]);
    reader.script().opens = Some(Ok(vec![Identity { xid_errors: false, ..identity(0) }]));
    let mut stand = Stand::new(reader);
    stand.round(0).unwrap();
    assert!(!stand.series().keys().any(|name| name.starts_with("xid_errors")));
}

#[test]
fn ecc_errors_never_decrease_when_the_driver_is_loaded_again() {
    let reader = Scripted::of([h100()]);
    let mut stand = Stand::new(reader.clone());
    stand.round(0).unwrap();
    let errors =
        MemoryErrors { corrected: Some(1), corrected_aggregate: Some(41), ..MemoryErrors::default() };
    reader.script().samples.insert(0, Ok(Sample { memory_errors: errors, ..h100() }));
    stand.round(100).unwrap();
    let series = stand.series();
    assert_eq!(series[r#"ecc_errors_total{gpu="0",kind="corrected",counter="volatile"}"#], 4.0);
    assert_eq!(series[r#"ecc_errors_total{gpu="0",kind="corrected",counter="aggregate"}"#], 41.0);
}
