//! Claims about efficiency: Python's ceiling, Rust's efficiency, and the meaning of the measure.

use super::{Claim, Number, Said, Verdict, apart, judge, shown};
use crate::analysis::{
    Analysis, ConditionSummary, Language, Measure,
    advice::rust_against_python,
    statistic::{Mean, mean},
};

/// TR117 calls an efficiency above this value an outlier (6.3: p99 of its Python runs).
const CEILING: f64 = 0.88;
/// The PCIe rate from which TR117 speaks of saturation (2.3), in bytes per second.
const SATURATED: f64 = 10e9;

fn untreated(analysis: &Analysis, language: Language) -> impl Iterator<Item = &ConditionSummary> {
    analysis.conditions.iter().filter(move |found| {
        found.condition.language == language && found.condition.remedies.is_empty() && found.agents > 1
    })
}

/// Returns a measure over all runs of agents of one language without remedies.
fn pooled(analysis: &Analysis, language: Language, measure: Measure) -> Option<(Mean, f64)> {
    let values: Vec<f64> =
        untreated(analysis, language).flat_map(|found| found.values(measure).iter().copied()).collect();
    let largest = values.iter().copied().reduce(f64::max)?;
    let mean = mean(&values, analysis.settings.level).ok()?;
    Some((Mean { interval: mean.interval.map(|interval| measure.limit(interval)), ..mean }, largest))
}

fn percent(value: f64) -> String {
    Measure::OverlapEfficiency.show(value)
}

pub(super) fn ceiling(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "python_ceiling",
        section: "6.3",
        says: "Python's efficiency has a ceiling near 86 %, and 88 % is an outlier",
    };
    let Some((mean, largest)) = pooled(analysis, Language::Python, Measure::OverlapEfficiency) else {
        return said.unmeasured("No Python agents ran together without a remedy.");
    };
    // A limit that agents in another language share is not Python's.
    let control = rust_against_python(analysis, Measure::OverlapEfficiency).map(|(_, _, gain)| gain);
    let alpha = 1.0 - analysis.settings.level;
    let above = control.as_ref().is_some_and(|gain| gain.difference > 0.0 && gain.evidence.found(alpha));
    let verdict =
        judge(mean.interval, |interval| above && interval.high <= CEILING, |interval| interval.low > CEILING);
    let control = match control {
        _ if verdict == Verdict::Refuted => String::new(),
        None => format!(" {}", no_control(analysis)),
        Some(gain) if above => format!(" The control is above it: {}.", gain.sentence()),
        Some(gain) => {
            format!(" The control does not differ, so a limit need not be Python's: {}.", gain.sentence())
        }
    };
    let because = format!(
        "Their overlap efficiency is {} ({}), at most {}.{control}",
        percent(mean.value),
        shown(mean.interval, percent),
        percent(largest)
    );
    said.judged(verdict, because, vec![Number::of_mean("overlap efficiency", &mean)])
}

/// Returns why no agents in another language are compared with Python's.
fn no_control(analysis: &Analysis) -> String {
    let mut ran: Vec<&ConditionSummary> = untreated(analysis, Language::Rust).collect();
    ran.sort_by_key(|found| found.runs == 0);
    match ran.first().map(|found| (&found.condition.name, found.runs)) {
        Some((name, 1..)) if ran[0].condition.without_plan => format!("{} A limit need not be Python's.", other_prompts(name)),
        None => "No agents in another language ran together without a remedy as a control, so a limit need not be \
                 Python's."
            .into(),
        Some((name, 0)) => {
            format!("Every run of the Rust agents of {name} failed, so there is no control, and a limit need not be Python's.")
        }
        Some((name, _)) => format!(
            "The Rust agents of {name} would be a control, but no Python condition without remedies is compared with \
             them, so a limit need not be Python's. To compare them, set `baseline = \"{name}\"` in the Python \
             condition of plan.toml."
        ),
    }
}

/// Returns why the Rust agents of a folder of TR117 are not compared with its Python agents.
fn other_prompts(name: &str) -> String {
    format!(
        "The Rust agents of {name} sent other prompts than TR117's Python agents, so they are no control, and the two are \
         not compared."
    )
}

pub(super) fn gain(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "efficiency_is_gain",
        section: "3.5",
        says: "Speedup and efficiency show the gain from running together",
    };
    let mut numbers = Vec::new();
    let (mut sentences, mut verdict) = (Vec::new(), Verdict::Undecided);
    for condition in analysis.conditions.iter().filter(|found| found.agents > 1) {
        let name = &condition.condition.name;
        let Some((truth, overlap)) = condition.truth.zip(condition.mean(Measure::OverlapSpeedup)) else {
            continue;
        };
        let Some(interval) = truth.interval else { continue };
        // One condition in which the two differ is enough to refute the claim.
        let same = interval.contains(overlap.value);
        verdict = if same && verdict != Verdict::Refuted { Verdict::Supported } else { Verdict::Refuted };
        sentences.push(format!(
            "{name}: overlap speedup {:.2}, true speedup {:.2} ({:.2} to {:.2})",
            overlap.value, truth.speedup, interval.low, interval.high
        ));
        numbers.push(Number {
            name: format!("true speedup of {name}"),
            value: truth.speedup,
            interval: Some(interval),
            n: overlap.n,
        });
        numbers.push(Number::of_mean(format!("overlap speedup of {name}"), &overlap));
    }
    if numbers.is_empty() {
        return said.unmeasured("No condition has repeated solo runs to compare its concurrent runs with.");
    }
    said.judged(verdict, format!("{}.", sentences.join("; ")), numbers)
}

pub(super) fn rust(analysis: &Analysis) -> Claim {
    let said =
        Said { id: "rust_efficiency", section: "9.1, Q4", says: "Rust agents reach 98-99 % efficiency" };
    let Some((mean, _)) = pooled(analysis, Language::Rust, Measure::OverlapEfficiency) else {
        return said.unmeasured("No Rust agents ran together without a remedy.");
    };
    let verdict = judge(mean.interval, |interval| interval.low >= 0.98, |interval| interval.high < 0.98);
    let because =
        format!("Their overlap efficiency is {} ({}).", percent(mean.value), shown(mean.interval, percent));
    said.judged(verdict, because, vec![Number::of_mean("overlap efficiency", &mean)])
}

pub(super) fn rust_gain(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "rust_gain",
        section: "Executive summary",
        says: "Rust is 12 to 17 percentage points more efficient than Python",
    };
    let Some((_, _, overlap)) = rust_against_python(analysis, Measure::OverlapEfficiency) else {
        let published =
            untreated(analysis, Language::Rust).find(|found| found.condition.without_plan && found.runs > 0);
        return said.unmeasured(&published.map_or_else(
            || "No Python condition is compared with a Rust one.".into(),
            |found| other_prompts(&found.condition.name),
        ));
    };
    let mut numbers = vec![Number::of_comparison(&overlap)];
    let mut because = format!("{}.", overlap.sentence());
    if let Some((_, _, truth)) = rust_against_python(analysis, Measure::TrueEfficiency) {
        numbers.push(Number::of_comparison(&truth));
        because.push_str(&format!(" Compared with solo runs: {}.", truth.sentence()));
    }
    let verdict = judge(
        overlap.interval,
        |interval| 0.12 <= interval.low && interval.high <= 0.17,
        |interval| apart(interval, 0.12, 0.17),
    );
    said.judged(verdict, because, numbers)
}

pub(super) fn rust_mandatory(analysis: &Analysis) -> Claim {
    let said = Said {
        id: "rust_mandatory",
        section: "9.3",
        says: "Python cannot sustain more than 100 tok/s in all; Rust is mandatory",
    };
    let fastest = untreated(analysis, Language::Python)
        .filter_map(|found| Some((found, found.mean(Measure::Throughput)?)))
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let Some((condition, mean)) = fastest else {
        return said.unmeasured("No Python agents ran together without a remedy.");
    };
    let name = &condition.condition.name;
    let show = |value| Measure::Throughput.show(value);
    // A slow model proves nothing. Only agents that could have been faster in Rust would support the claim.
    let verdict = judge(mean.interval, |_| false, |interval| interval.low > 100.0);
    let because = format!("{name} made {} ({}).", show(mean.value), shown(mean.interval, show));
    said.judged(verdict, because, vec![Number::of_mean(format!("throughput of {name}"), &mean)])
}

pub(super) fn pcie(analysis: &Analysis) -> Claim {
    let said = Said { id: "pcie", section: "4.1, Q2", says: "PCIe is not saturated" };
    let Some(peak) = analysis.pcie_peak else { return said.unmeasured("No PCIe rates were recorded.") };
    let verdict = if peak < SATURATED { Verdict::Supported } else { Verdict::Refuted };
    let because = format!("The largest rate was {:.0} MB/s. TR117's threshold is 10 GB/s.", peak / 1e6);
    let number = Number { name: "largest PCIe rate".into(), value: peak, interval: None, n: 1 };
    said.judged(verdict, because, vec![number])
}

pub(super) fn tokenizer() -> Claim {
    Said { id: "tokenizer", section: "4.2, Q2", says: "Qwen is slow because of its tokenizer" }.unmeasured(
        "A recording of streams has no data about tokenizers, because the client does not tokenize. Run `streamgauge experiment tokenizers`.",
    )
}
