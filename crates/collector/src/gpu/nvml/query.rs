//! The questions to a device.

use std::time::{Duration, Instant};

use nvml_wrapper::{enums::device::SampleValue, error::NvmlError};

/// Asks a device, and tells how long each question took.
pub(super) struct Query<T> {
    tell: T,
}

impl<T: FnMut(&'static str, Duration)> Query<T> {
    pub(super) const fn new(tell: T) -> Query<T> {
        Query { tell }
    }

    /// Sends one query. Returns `None` if this device does not provide the value, and an error if the device is lost.
    pub(super) fn ask<V>(
        &mut self,
        name: &'static str,
        call: impl FnOnce() -> Result<V, NvmlError>,
    ) -> Result<Option<V>, NvmlError> {
        let began = Instant::now();
        let answer = call();
        (self.tell)(name, began.elapsed());
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_loss(&error) => Err(error),
            // The value is not supported, not permitted or not in this driver. Only this field is missing.
            Err(_) => Ok(None),
        }
    }
}

fn is_loss(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::GpuLost | NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::ResetRequired
    )
}

/// Returns NVML's index of the GPU at this position.
pub(super) fn index(position: usize) -> u32 {
    u32::try_from(position).expect("NVML counted them by u32")
}

/// Returns the value of a field, if it is a whole number that is not negative.
pub(super) fn number(value: &SampleValue) -> Option<u64> {
    match *value {
        SampleValue::U32(number) => Some(u64::from(number)),
        SampleValue::U64(number) => Some(number),
        SampleValue::I64(number) => u64::try_from(number).ok(),
        SampleValue::F64(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_nvml_field_is_left_out_and_lost_device_is_an_error() {
        let mut told = Vec::new();
        let mut query = Query { tell: |name, _| told.push(name) };
        assert_eq!(query.ask("a", || Ok(7)).unwrap(), Some(7));
        for absent in [NvmlError::NotSupported, NvmlError::NoPermission, NvmlError::UnexpectedVariant(3)] {
            assert_eq!(query.ask("b", || Err::<u32, _>(absent)).unwrap(), None);
        }
        for lost in [NvmlError::GpuLost, NvmlError::Uninitialized, NvmlError::DriverNotLoaded] {
            assert!(query.ask("c", || Err::<u32, _>(lost)).is_err());
        }
        assert_eq!(told.len(), 7);
    }
}
