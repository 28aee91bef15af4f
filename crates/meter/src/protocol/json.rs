//! A cursor over one JSON value. It reads the requested values and skips the others.
//!
//! It finds fields fast in JSON that another program wrote, so it does not validate the values that it skips. Within
//! an array it counts only quotes and square brackets, and within an object only quotes and braces. It does not
//! recurse, so deep nesting cannot exhaust the stack.

use memchr::{memchr2, memchr3};

/// The first bytes of a string are searched eight at a time. From here on, a vector search is faster.
const NEAR: usize = 32;

/// The text is not JSON, or ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A string as it is written, between its quotes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a [u8],
    has_escapes: bool,
}

/// A buffer for a string without its escapes. Every field name, word and time that is compared fits into it.
pub(super) type Room = [u8; 48];

pub(super) const ROOM: Room = [0; 48];

impl<'a> Text<'a> {
    /// Returns the text of the string. A string with escapes is decoded into `room`. If it is too long for `room` or
    /// not ASCII, it cannot be a name that is compared, and is returned as it is written.
    #[inline]
    pub(super) fn said<'r>(self, room: &'r mut Room) -> &'r [u8]
    where
        'a: 'r,
    {
        if self.has_escapes { unescaped(self.raw, room).unwrap_or(self.raw) } else { self.raw }
    }
}

/// Few programs write escapes that are not needed.
#[cold]
fn unescaped<'r>(raw: &[u8], room: &'r mut Room) -> Option<&'r [u8]> {
    let mut length = 0;
    let mut rest = raw;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let mut byte = *first;
        if byte == b'\\' {
            let (escape, behind) = rest.split_first()?;
            rest = behind;
            byte = match escape {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let (digits, behind) = rest.split_first_chunk::<4>()?;
                    rest = behind;
                    let digit = |digit: &u8| char::from(*digit).to_digit(16);
                    let letter = digits.iter().try_fold(0, |sum, byte| Some(16 * sum + digit(byte)?))?;
                    u8::try_from(letter).ok().filter(u8::is_ascii)?
                }
                other => *other,
            };
        }
        *room.get_mut(length)? = byte;
        length += 1;
    }
    Some(&room[..length])
}

/// A position in a JSON text. Each method reads one value after white space, and stops behind it.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Returns the first byte of the next value.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Broken> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Broken)
    }

    /// Whether only white space is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.peek().is_err()
    }

    /// Returns the position.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    /// Visits each field of an object with its key and the cursor, from which `field` must read the value. A value
    /// that is not an object is skipped.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut room = ROOM;
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(Broken);
            }
            let key = self.quoted()?;
            if self.peek()? != b':' {
                return Err(Broken);
            }
            self.at += 1;
            field(self, key.said(&mut room))?;
            if self.goes_on(b'}')? {
                continue;
            }
            return Ok(());
        }
    }

    /// Visits each item of an array, which `item` must read. A value that is not an array is skipped.
    pub(super) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a comma, or the closing bracket.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Result<bool, Broken> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            _ => Err(Broken),
        }
    }

    /// Reads a string. `None`: the value has another type.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<Text<'a>>, Broken> {
        if self.peek()? == b'"' { self.quoted().map(Some) } else { self.skip().map(|()| None) }
    }

    /// Whether the value is a string that is not empty.
    #[inline]
    pub(super) fn is_text(&mut self) -> Result<bool, Broken> {
        Ok(self.text()?.is_some_and(|text| !text.raw.is_empty()))
    }

    /// Whether it is an array that is not empty.
    pub(super) fn is_list(&mut self) -> Result<bool, Broken> {
        if self.peek()? != b'[' {
            return self.skip().map(|()| false);
        }
        let inside = Cursor { bytes: self.bytes, at: self.at + 1 }.peek()?;
        self.skip()?;
        Ok(inside != b']')
    }

    /// Whether the value is `true`.
    #[inline]
    pub(super) fn is_true(&mut self) -> Result<bool, Broken> {
        Ok(self.raw()? == b"true")
    }

    /// Whether the value is not `null`.
    pub(super) fn is_some(&mut self) -> Result<bool, Broken> {
        Ok(self.raw()? != b"null")
    }

    /// Reads an integer from 0 to 2^64 − 1. `None`: any other value.
    pub(super) fn count(&mut self) -> Result<Option<u64>, Broken> {
        let raw = self.raw()?;
        let digit = |sum: u64, byte: &u8| {
            if !byte.is_ascii_digit() {
                return None;
            }
            sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        };
        Ok(raw.iter().try_fold(0, digit))
    }

    /// Returns any value as it is written.
    #[inline]
    pub(super) fn raw(&mut self) -> Result<&'a [u8], Broken> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Ok(&self.bytes[start..self.at])
    }

    /// Skips any value.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), Broken> {
        match self.peek()? {
            b'"' => self.quoted().map(|_| ()),
            b'[' => self.nested(b'[', b']'),
            b'{' => self.nested(b'{', b'}'),
            _ => self.scalar(),
        }
    }

    /// Reads the inside of a string that begins here.
    #[inline]
    fn quoted(&mut self) -> Result<Text<'a>, Broken> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        // Most strings are a key or a token, and are so short that a vector search would not pay.
        let near = start + NEAR;
        loop {
            match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
                Some(word) if at < near => match mark_in(*word) {
                    Some(offset) => at += offset,
                    None => {
                        at += word.len();
                        continue;
                    }
                },
                Some(_) => at += memchr2(b'"', b'\\', &self.bytes[at..]).ok_or(Broken)?,
                // Only the last few bytes of the text are left.
                None => {}
            }
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text { raw: &self.bytes[start..at], has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return Err(Broken),
            }
        }
    }

    /// Skips an array or an object by counting its own kind of bracket.
    fn nested(&mut self, open: u8, close: u8) -> Result<(), Broken> {
        self.at += 1;
        let mut depth = 1_usize;
        while depth > 0 {
            let rest = self.bytes.get(self.at..).ok_or(Broken)?;
            self.at += memchr3(b'"', open, close, rest).ok_or(Broken)?;
            match self.bytes[self.at] {
                b'"' => {
                    self.quoted()?;
                    continue;
                }
                byte if byte == open => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Skips a number or a word.
    #[inline]
    fn scalar(&mut self) -> Result<(), Broken> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        let scalar = &rest[..length];
        let is_value = match scalar.first() {
            Some(b'0'..=b'9' | b'-') => true,
            _ => matches!(scalar, b"true" | b"false" | b"null"),
        };
        self.at += length;
        is_value.then_some(()).ok_or(Broken)
    }
}

/// Returns the position of the first quote or backslash among eight bytes. After the exclusive or, a byte is zero if
/// it is the wanted one. The lowest high bit that the subtraction leaves belongs to the first of them (Warren,
/// "Hacker's Delight", 6-1).
#[inline]
const fn mark_in(bytes: [u8; 8]) -> Option<usize> {
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(u64::MAX / 255) & !word & (u64::MAX / 255 * 0x80)
    }
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(bytes);
    let marks = zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'));
    if marks == 0 { None } else { Some(marks.trailing_zeros() as usize / 8) }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Cursor, mark_in};

    #[test]
    fn json_first_mark_is_found_among_any_bytes() {
        for other in u8::MIN..=u8::MAX {
            for at in 0..8 {
                for mark in *b"\"\\" {
                    let mut bytes = [other; 8];
                    bytes[at] = mark;
                    let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                    assert_eq!(mark_in(bytes), first, "{bytes:?}");
                }
            }
        }
        assert_eq!(mark_in(*b"!#[]\x21\xa2\xdc\0"), None);
    }

    fn skipped(text: &str) -> Result<bool, Broken> {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.skip()?;
        Ok(cursor.at_end())
    }

    #[test]
    fn json_value_of_any_kind_is_skipped() {
        for text in [
            r#""""#,
            r#""a\"b\\""#,
            r#""long enough to leave the first sixteen bytes \" behind""#,
            "[]",
            r#"[1,[2,"]"],{"a":"\"]"}]"#,
            r#"{"a":{"b":"}"},"c":[{}]}"#,
            " -1.5e+9 ",
            "true",
            "null",
        ] {
            assert_eq!(skipped(text), Ok(true), "{text}");
        }
        assert_eq!(skipped("1 2"), Ok(false));
    }

    #[test]
    fn json_that_is_cut_or_invalid_is_broken() {
        for text in ["", " ", "\"", r#""\"#, r#""a\""#, "[", "[[]", r#"{"a":"}"#, "nul", "truex", ",", "}"] {
            assert_eq!(skipped(text), Err(Broken), "{text}");
        }
    }

    #[test]
    fn json_count_is_an_integer_that_fits() {
        for (text, count) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("1.0", None),
            ("1e3", None),
            ("\"1\"", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(Cursor::new(text.as_bytes()).count(), Ok(count), "{text}");
        }
    }

    #[test]
    fn json_nested_deeply_takes_no_stack() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        assert_eq!(skipped(&deep), Ok(true));
    }

    #[test]
    fn json_fields_keep_their_order_and_need_commas() {
        let keys = |text: &'static str| {
            let mut keys = Vec::new();
            Cursor::new(text.as_bytes()).object(|value, key| {
                keys.push(key.to_vec());
                value.skip()
            })?;
            Ok(keys)
        };
        assert_eq!(keys(r#"{ "a" : 1 , "b":{"c":2}}"#), Ok(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(keys("{}"), Ok(vec![]));
        for broken in [r#"{"a":1 "b":2}"#, r#"{"a":1,}"#, r#"{"a" 1}"#, r#"{"a":}"#, r#"{"a":1"#, "{1:2}"] {
            assert_eq!(keys(broken), Err(Broken), "{broken}");
        }
    }
    #[test]
    fn json_key_with_escapes_equals_key_without() {
        let said = |key: &str| {
            let text = format!("{{\"{key}\":1}}");
            let mut said = Vec::new();
            Cursor::new(text.as_bytes()).object(|value, key| {
                said = key.to_vec();
                value.skip()
            })?;
            Ok::<_, Broken>(String::from_utf8(said).unwrap())
        };
        for (key, expected) in [
            ("d\\u006fne", "done"),
            ("\\u0064\\u006F\\u006e\\u0065", "done"),
            (r#"a\/\"\\b\n"#, "a/\"\\b\n"),
            // An escape that cannot be part of a name is left as it is written.
            ("\\u00e4", "\\u00e4"),
            ("\\u+041", "\\u+041"),
            ("\\u12", "\\u12"),
            (&"\\u0061".repeat(49), &"\\u0061".repeat(49)),
        ] {
            assert_eq!(said(key), Ok(expected.to_owned()), "{key}");
        }
    }
}
