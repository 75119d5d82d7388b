//! What the settings of all scenarios are checked by.

/// Whether a number is in its range, both ends included.
///
/// # Errors
/// If it is not: a sentence that names the setting and the range.
pub(crate) fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} must be from {min} to {max}, not {value}"))
    }
}
