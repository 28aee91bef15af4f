//! JSON objects whose keys keep the order in which they are written, as those of a Go struct do.

use serde_json::Value;

/// Fields of an object, each value as JSON.
pub(super) type Fields = Vec<(&'static str, String)>;

/// Writes an object with these fields.
pub(super) fn object(fields: &[(&'static str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", fields.join(","))
}

/// Writes an array of values that are JSON already.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

/// Writes a value as JSON.
pub(super) fn json(value: impl Into<Value>) -> String {
    value.into().to_string()
}
