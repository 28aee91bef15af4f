//! Every statistic equals scipy's, statsmodels' or numpy's to 1e-9.

use std::{env, path::PathBuf, process::Command};

use super::{
    Baseline, Effect, Interval, Random, bca, correlation_matrix, detectable_shift,
    distribution::{
        chi_squared_upper, f_upper, noncentral_t_cdf, normal_cdf, normal_quantile, t_cdf, t_quantile,
        t_two_sided,
    },
    fit_scaling, hedges_g, holm, least_squares, mean, pearson_within, percentile, permutation_test,
    permutation_test_with_baselines,
    power::power,
    proportion,
    rank::ranks,
    regression::Coefficient,
    sign_flip_test, spearman_within, sum,
    undefined::Undefined,
    variance, variance_inflation, welch,
};

use serde_json::{Value, json};

const LEVEL: f64 = 0.95;
const TOLERANCE: f64 = 1e-9;
/// The largest value that counts as 0 with a rounding error.
const ZERO: f64 = 1e-15;

#[test]
fn statistics_equal_committed_results_of_scipy_statsmodels_and_numpy() {
    compare(include_str!("reference.json"));
}

#[test]
#[ignore = "needs python with scipy; tests/real/install.sh"]
#[allow(clippy::disallowed_methods, reason = "the cache is where install.sh puts it")]
fn statistics_equal_fresh_results_of_scipy_statsmodels_and_numpy() {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let script = "../../tests/real/analysis/reference.py";
    let output = Command::new(cache.join("streamgauge/venv/bin/python")).arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    compare(&String::from_utf8(output.stdout).unwrap());
}

fn compare(cases: &str) {
    // JSON is YAML. serde_json may miss the last digit of a number, which matters for a variance far from zero.
    let cases: Vec<Value> = serde_saphyr::from_str(cases).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let ours = answer(case["statistic"].as_str().unwrap(), &case["in"]);
        for (key, theirs) in case["out"].as_object().unwrap() {
            if !agree(&ours[key], theirs) {
                wrong.push(format!(
                    "{} of {}: {key} is {} and should be {theirs}",
                    case["statistic"], case["name"], ours[key]
                ));
            }
        }
    }
    assert!(cases.len() > 500, "{} cases are not all", cases.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn agree(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agree(ours, theirs))
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= TOLERANCE * theirs.abs() + ZERO
        }
        _ => ours == theirs,
    }
}

/// Returns our results by the keys of the case, with null if a statistic is undefined.
#[expect(clippy::too_many_lines, reason = "one arm for each statistic")]
fn answer(statistic: &str, given: &Value) -> Value {
    let number = |key: &str| given[key].as_f64().unwrap_or(f64::NAN);
    let count = |key: &str| given[key].as_u64().unwrap() as usize;
    let list = |key: &str| numbers(&given[key]);
    let lists = |key: &str| given[key].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
    let random = || Random::new(given["seed"].as_u64().unwrap());
    let value = |value: f64| Ok(json!({ "value": value }));
    let found: Result<Value, Undefined> = match statistic {
        "t_quantile" => value(t_quantile(number("p"), number("df"))),
        "t" => {
            let (t, df) = (number("t"), number("df"));
            Ok(json!({ "cdf": t_cdf(t, df), "two_sided": t_two_sided(t, df) }))
        }
        "normal_quantile" => value(normal_quantile(number("p"))),
        "normal_cdf" => value(normal_cdf(number("z"))),
        "f_upper" => value(f_upper(number("f"), number("d1"), number("d2"))),
        "chi_squared_upper" => value(chi_squared_upper(number("x"), number("df"))),
        "noncentral_t" => value(noncentral_t_cdf(number("t"), number("df"), number("shift"))),
        "mean" => mean(&list("values"), LEVEL).map(|mean| {
            let total = sum(list("values"));
            let variance = variance(&list("values")).ok();
            let found = json!({
                "mean": mean.value, "deviation": mean.deviation, "variance": variance, "sum": total,
            });
            with_interval(found, mean.interval)
        }),
        "percentile" => percentile(&list("values"), number("q")).map(|value| json!({ "value": value })),
        "bca" => {
            let statistic = |values: &[f64]| match given["statistic"].as_str().unwrap() {
                "mean" => sum(values.iter().copied()) / values.len() as f64,
                "median" => percentile(values, 0.5).unwrap(),
                _ => percentile(values, 0.9).unwrap(),
            };
            bca(&list("values"), statistic, LEVEL, count("resamples"), &mut random()).map(|found| {
                with_interval(json!({ "standard_error": found.standard_error }), Some(found.interval))
            })
        }
        "welch" => welch(&list("first"), &list("second"), LEVEL).map(|test| {
            let found = json!({ "difference": test.difference, "t": test.t, "df": test.df, "p": test.p });
            with_interval(found, Some(test.interval))
        }),
        "hedges_g" => hedges_g(&list("first"), &list("second"), LEVEL).map(|effect| {
            with_interval(json!({ "g": effect.g, "deviation": effect.deviation }), effect.interval)
        }),
        "permutation" => permutation_test(&list("first"), &list("second"), count("most"), &mut random())
            .map(|test| json!({ "difference": test.difference, "p": test.p })),
        "permutation_with_baselines" => {
            let (weights, first, second) = (list("weights"), lists("alone_first"), lists("alone_second"));
            permutation_test_with_baselines(
                (&list("first"), &list("second")),
                (&baseline(&weights, &first), &baseline(&weights, &second)),
                count("most"),
                &mut random(),
            )
            .map(|test| json!({ "difference": test.difference, "p": test.p }))
        }
        "effect_of_error" => {
            let sizes = (count("first"), count("second"));
            let effect = Effect::of_error(number("difference"), number("error"), number("df"), sizes, LEVEL);
            effect.ok_or(Undefined::Constant).map(|effect| {
                with_interval(json!({ "g": effect.g, "deviation": effect.deviation }), effect.interval)
            })
        }
        "proportion" => proportion(count("successes"), count("trials"), LEVEL)
            .map(|found| with_interval(json!({ "value": found.value }), Some(found.interval))),
        "holm" => Ok(json!({ "values": holm(&list("p")) })),
        "power" => power(number("effect"), count("first"), count("second"), number("alpha"))
            .map(|power| json!({ "value": power })),
        "detectable" => {
            let (first, second) = (number("first"), number("second"));
            detectable_shift(first + second - 2.0, number("alpha"), number("power"))
                .map(|shift| json!({ "value": shift / (first * second / (first + second)).sqrt() }))
        }
        "pearson" | "spearman" => {
            let correlate = if statistic == "pearson" { pearson_within } else { spearman_within };
            correlate(&[(list("left"), list("right"))], LEVEL)
                .map(|found| with_interval(json!({ "r": found.r, "p": found.p }), found.interval))
        }
        "pearson_within" | "spearman_within" => {
            let correlate = if statistic == "pearson_within" { pearson_within } else { spearman_within };
            let groups: Vec<(Vec<f64>, Vec<f64>)> = lists("left").into_iter().zip(lists("right")).collect();
            correlate(&groups, LEVEL)
                .map(|found| with_interval(json!({ "r": found.r, "p": found.p }), found.interval))
        }
        "sign_flip" => sign_flip_test(&list("differences"), 9999, &mut Random::new(1))
            .map(|found| json!({ "difference": found.difference, "p": found.p })),
        "ranks" => Ok(json!({ "values": ranks(&list("values")) })),
        "correlation_matrix" => Ok(json!({ "rows": correlation_matrix(&lists("columns")) })),
        "regression" => regression(&lists("columns"), &list("outcome")),
        "variance_inflation" => {
            let columns = lists("columns");
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            variance_inflation(&columns).map(|values| json!({ "values": values }))
        }
        "scaling" => scaling(&list("streams"), &list("throughputs")),
        "random" => {
            let mut random = random();
            let mut draws = |bound| (0..20).map(|_| random.below(bound)).collect::<Vec<_>>();
            let (small, large) = (draws(10), draws(1 << 31));
            let mut shuffled: Vec<u32> = (0..30).collect();
            random.shuffle(&mut shuffled);
            Ok(json!({ "small": small, "large": large, "shuffled": shuffled }))
        }
        other => panic!("no statistic is called {other}"),
    };
    found.unwrap_or(Value::Null)
}

fn baseline<'a>(weights: &[f64], samples: &'a [Vec<f64>]) -> Baseline<'a> {
    Baseline { samples: weights.iter().copied().zip(samples.iter().map(Vec::as_slice)).collect() }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn with_interval(mut found: Value, interval: Option<Interval>) -> Value {
    found["low"] = json!(interval.map(|interval| interval.low));
    found["high"] = json!(interval.map(|interval| interval.high));
    found
}

fn regression(columns: &[Vec<f64>], outcome: &[f64]) -> Result<Value, Undefined> {
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let fit = least_squares(&columns, outcome, LEVEL)?;
    let residuals = fit.residuals;
    let each = |part: fn(&Coefficient) -> f64| fit.coefficients.iter().map(part).collect::<Vec<_>>();
    Ok(json!({
        "coefficients": each(|c| c.value), "errors": each(|c| c.standard_error), "t": each(|c| c.t),
        "p": each(|c| c.p), "low": each(|c| c.interval.low), "high": each(|c| c.interval.high),
        "r_squared": fit.r_squared, "adjusted": fit.adjusted_r_squared, "f": fit.f, "f_p": fit.f_p,
        "deviation": fit.residual_deviation, "durbin_watson": residuals.durbin_watson,
        "jarque_bera": residuals.jarque_bera, "jarque_bera_p": residuals.jarque_bera_p,
        "breusch_pagan": residuals.breusch_pagan, "breusch_pagan_p": residuals.breusch_pagan_p,
        "cook": residuals.largest_cook, "cook_row": residuals.largest_cook_row,
    }))
}

fn scaling(streams: &[f64], throughputs: &[f64]) -> Result<Value, Undefined> {
    let fit = fit_scaling(streams, throughputs, LEVEL)?;
    let parameters = [fit.one, fit.contention, fit.coherency];
    Ok(json!({
        "one": fit.one.value, "contention": fit.contention.value, "coherency": fit.coherency.value,
        "errors": parameters.map(|p| p.standard_error),
        "low": parameters.map(|p| p.interval.low), "high": parameters.map(|p| p.interval.high),
        "r_squared": fit.r_squared, "peak": fit.peak.map(|peak| peak.streams),
        "peak_low": fit.peak.map(|peak| peak.interval.low), "peak_high": fit.peak.map(|peak| peak.interval.high),
        "peak_throughput": fit.peak.map(|peak| peak.throughput),
    }))
}
