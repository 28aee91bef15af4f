//! A simulated Ollama.

use crate::analysis::{Language, Remedy, Verdict, analyse};

use super::{super::model::Draft, NOISE, QUICK, alone, condition, few, pair};

#[test]
fn recording_of_a_simulated_ollama_decides_no_claim_and_recommends_nothing() {
    let of = |simulated: bool| {
        let mut draft = Draft::default();
        draft.recording.simulated = simulated;
        draft.condition(condition("python", Language::Python, &[], None));
        draft.condition(condition("uvloop", Language::Python, &[Remedy::Uvloop], Some("python")));
        for noise in few(&NOISE) {
            alone(&mut draft, "python", 10.0 * noise);
            pair(&mut draft, "python", 16.0 * noise);
            pair(&mut draft, "uvloop", 12.0 * noise);
        }
        let analysis = analyse(&draft.recording, &QUICK);
        let decided = analysis.claims.iter().filter(|claim| claim.verdict != Verdict::Undecided).count();
        (decided > 0, analysis.advice.recommendation.starts_with("Use uvloop"))
    };
    assert_eq!(of(false), (true, true));
    assert_eq!(of(true), (false, false));
}
