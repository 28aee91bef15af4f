//! JSON objects whose keys stay in the order in which they are written: a Go struct's.

use serde_json::Value;

/// Fields of an object, each value as JSON.
pub(super) type Fields = Vec<(&'static str, String)>;

/// An object of these fields.
pub(super) fn object(fields: &[(&'static str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", fields.join(","))
}

/// An array of these values, each of them JSON.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

/// A value as JSON.
pub(super) fn json(value: impl Into<Value>) -> String {
    value.into().to_string()
}
