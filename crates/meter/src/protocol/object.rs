//! The fields of a JSON object with their positions in the text, so that a field can be edited and no other byte
//! changes.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::json::{Broken, Cursor};

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The value, as it is written.
    pub(crate) value: &'a [u8],
    /// The range to remove with the field: its key, its value and one comma.
    pub(crate) range: Range<usize>,
}

/// Visits each field of an object with its key and its value as written, while `each` returns true. Returns false if
/// `each` did, or if the text is not an object.
pub(crate) fn visit<'a>(text: &'a [u8], mut each: impl FnMut(&[u8], &'a [u8]) -> bool) -> bool {
    let mut object = Cursor::new(text);
    if object.peek() != Ok(b'{') {
        return false;
    }
    let visited = object.object(|value, key| {
        let raw = value.raw()?;
        if each(key, raw) { Ok(()) } else { Err(Broken) }
    });
    visited.is_ok() && object.at_end()
}

/// Returns the item of a list that has exactly one.
pub(crate) fn only_item(text: &[u8]) -> Option<&[u8]> {
    let mut list = Cursor::new(text);
    if list.peek() != Ok(b'[') {
        return None;
    }
    let (mut first, mut count) = (None, 0);
    list.array(|item| {
        first = Some(item.raw()?);
        count += 1;
        Ok(())
    })
    .ok()?;
    first.filter(|_| count == 1)
}

/// Finds the fields with these names. If several fields have the same name, the last one counts, as in decoders.
/// `None`: the text is not an object.
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
                // The first field has no comma before it, and may have one after it.
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
