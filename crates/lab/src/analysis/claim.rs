//! Verdicts on the claims of TR117.
//!
//! Each claim is compared with an interval of this recording. It is supported if the interval lies within the claimed
//! range, refuted if it lies outside, and undecided otherwise.

mod efficiency;
mod lag;
mod remedy;
mod verdict;

use super::Analysis;

pub(crate) use verdict::{Claim, Number, Verdict};
use verdict::{Said, apart, judge, shown};

/// Returns every claim, in the order of TR117.
pub(super) fn claims(analysis: &Analysis) -> Vec<Claim> {
    let mut claims = vec![
        efficiency::ceiling(analysis),
        efficiency::gain(analysis),
        lag::explains(analysis),
        lag::follows_chunks(analysis),
        lag::storm(analysis),
        lag::regression(analysis),
        lag::parsing(analysis),
        remedy::buffer_efficiency(analysis),
        remedy::buffer_chunks(analysis),
        efficiency::pcie(analysis),
        efficiency::tokenizer(),
        remedy::slower_is_faster(analysis),
        remedy::uvloop(analysis),
        remedy::batching(analysis),
        efficiency::rust(analysis),
        efficiency::rust_gain(analysis),
        efficiency::rust_mandatory(analysis),
    ];
    if analysis.simulated {
        for claim in &mut claims {
            claim.verdict = Verdict::Undecided;
            claim.because = "A simulated Ollama answered, so these runs say nothing about it.".into();
            claim.numbers.clear();
        }
    }
    claims
}
