//! The errors that ECC found in a GPU's memory.

use super::{
    carried::{Carried, carry},
    sample::MemoryErrors,
};

/// The counters of a card, which continue when the driver or a reset of them starts again at 0.
#[derive(Debug, Default)]
pub(super) struct EccErrors {
    corrected: Option<Carried>,
    uncorrected: Option<Carried>,
    corrected_aggregate: Option<Carried>,
    uncorrected_aggregate: Option<Carried>,
}

impl EccErrors {
    /// Adds a reading.
    pub(super) fn read(&mut self, errors: &MemoryErrors) {
        self.corrected = carry(self.corrected, errors.corrected);
        self.uncorrected = carry(self.uncorrected, errors.uncorrected);
        self.corrected_aggregate = carry(self.corrected_aggregate, errors.corrected_aggregate);
        self.uncorrected_aggregate = carry(self.uncorrected_aggregate, errors.uncorrected_aggregate);
    }

    /// Returns the labels `kind` and `counter`, and the errors if the card counts them.
    pub(super) fn told(&self) -> [(&'static str, &'static str, Option<f64>); 4] {
        let total = |carried: Option<Carried>| carried.map(|carried| carried.total() as f64);
        [
            ("corrected", "volatile", total(self.corrected)),
            ("uncorrected", "volatile", total(self.uncorrected)),
            ("corrected", "aggregate", total(self.corrected_aggregate)),
            ("uncorrected", "aggregate", total(self.uncorrected_aggregate)),
        ]
    }
}
