//! The errors of a GPU's memory, and its repairs.

use std::time::Duration;

use nvml_wrapper::{Device, error::NvmlError, structs::device::FieldId};

use super::query::{Query, number};
use crate::gpu::MemoryErrors;

/// `NVML_FI_DEV_ECC_SBE_VOL_TOTAL`, `…_DBE_VOL_TOTAL`, `…_SBE_AGG_TOTAL`, `…_DBE_AGG_TOTAL`; `NVML_FI_DEV_RETIRED_SBE`,
/// `…_DBE`, `…_PENDING`; `NVML_FI_DEV_REMAPPED_COR`, `…_UNC`, `…_PENDING`, `…_FAILURE`.
const FIELDS: [FieldId; 11] = [
    FieldId(3),
    FieldId(4),
    FieldId(5),
    FieldId(6),
    FieldId(29),
    FieldId(30),
    FieldId(31),
    FieldId(142),
    FieldId(143),
    FieldId(144),
    FieldId(145),
];

/// Reads all fields with one call. A card retires pages or remaps rows, and the fields of the other kind are missing.
pub(super) fn read(
    device: &Device<'_>,
    query: &mut Query<impl FnMut(&'static str, Duration)>,
    errors: &mut MemoryErrors,
) -> Result<(), NvmlError> {
    let values = query.ask("memory errors", || device.field_values_for(&FIELDS))?;
    let values = values.into_iter().flatten().map(|value| number(&value.ok()?.value.ok()?));
    *errors = translated(values);
    Ok(())
}

/// Translates the values of `FIELDS`.
fn translated(mut values: impl Iterator<Item = Option<u64>>) -> MemoryErrors {
    let mut next = || values.next().flatten();
    let mut errors = MemoryErrors {
        corrected: next(),
        uncorrected: next(),
        corrected_aggregate: next(),
        uncorrected_aggregate: next(),
        retired_single_bit: next(),
        retired_double_bit: next(),
        ..MemoryErrors::default()
    };
    let retirement = next();
    (errors.remapped_corrected, errors.remapped_uncorrected) = (next(), next());
    let remapping = next();
    errors.is_repair_pending =
        retirement.into_iter().chain(remapping).map(|pending| pending != 0).reduce(|one, other| one || other);
    errors.has_repair_failed = next().map(|failed| failed != 0);
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_errors_of_cards_that_remap_rows_and_that_retire_pages_are_translated() {
        let remaps =
            [Some(1), Some(2), Some(3), Some(4), None, None, None, Some(5), Some(6), Some(1), Some(0)];
        let expected = MemoryErrors {
            corrected: Some(1),
            uncorrected: Some(2),
            corrected_aggregate: Some(3),
            uncorrected_aggregate: Some(4),
            remapped_corrected: Some(5),
            remapped_uncorrected: Some(6),
            is_repair_pending: Some(true),
            has_repair_failed: Some(false),
            ..MemoryErrors::default()
        };
        assert_eq!(translated(remaps.into_iter()), expected);
        let retires = [None, None, None, None, Some(7), Some(8), Some(0), None, None, None, None];
        let expected = MemoryErrors {
            retired_single_bit: Some(7),
            retired_double_bit: Some(8),
            is_repair_pending: Some(false),
            ..MemoryErrors::default()
        };
        assert_eq!(translated(retires.into_iter()), expected);
        assert_eq!(translated(std::iter::empty()), MemoryErrors::default(), "the call failed");
    }
}
