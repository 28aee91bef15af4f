//! The fields of a JSON object where they lie in its text, so that one can be taken out and no other byte moves.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::json::Cursor;

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Its value, as it is written.
    pub(crate) value: &'a [u8],
    /// What is to be taken out of the text with the field: its key, its value and one comma.
    pub(crate) range: Range<usize>,
}

/// Finds the fields of these names; of several that share a name the last one, as decoders do. `None` if the text is
/// no object.
pub(crate) fn find<'a, const N: usize>(text: &'a [u8], names: [&[u8]; N]) -> Option<[Option<Field<'a>>; N]> {
    let mut found = [const { None }; N];
    let mut object = Cursor::new(text);
    if object.peek().ok()? != b'{' {
        return None;
    }
    let first = object.place() + 1;
    let mut before = first;
    object
        .object(|value, key| {
            let raw = value.raw()?;
            let end = value.place();
            if let Some(place) = names.iter().position(|name| *name == key) {
                // The first field has no comma before it, and perhaps one behind it.
                let is_followed = before == first && value.peek()? == b',';
                let end = if is_followed { value.place() + 1 } else { end };
                found[place] = Some(Field { value: raw, range: before..end });
            }
            before = end;
            Ok(())
        })
        .ok()?;
    object.at_end().then_some(found)
}
