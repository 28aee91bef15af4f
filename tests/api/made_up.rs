//! The listing of a made-up crate.

use super::{interface::interface, listing::listing, names::defined, source::Source};

const LIB: &str = r#"
//! A crate.
mod inner;
pub mod outer { pub use crate::inner::Shown; pub use bytes::Bytes as Raw; #[cfg(test)] pub struct Test; }
#[doc(hidden)]
pub use inner::twice;
pub(crate) struct Within;
#[cfg(feature = "more")]
pub const MOST: usize = 3;
"#;

const INNER: &str = r#"
use std::fmt;
/// Shown.
#[derive(Clone, Debug)]
pub struct Shown { /// Public.
    pub width: u32, secret: u32 }
impl Shown {
    pub async fn read(mut self, mut bytes: &[u8]) -> Option<&'static str> { None }
    fn hidden(&self) {}
}
impl fmt::Display for Shown { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { Ok(()) } }
pin_project_lite::pin_project! { pub struct Pinned<B> where B: Copy { #[pin] inner: B } }
pub fn twice<T: Into<u32>>(value: T) -> u32 { 2 }
"#;

fn of(lib: &str, inner: &str) -> String {
    let source = Source::parse(&|file| if file == "lib.rs" { lib } else { inner }.to_owned());
    listing("made-up", &interface(&source))
}

#[test]
fn listing_has_public_items_with_signatures_and_no_others() {
    let expected = "\
mod made_up
  const MOST: usize [feature = \"more\"]
  fn twice<T: Into<u32>>(value: T) -> u32 [hidden]

mod made_up::outer
  use bytes::Bytes as Raw
  struct Shown …: Clone + Debug + Display
    async fn read(self, bytes: &[u8]) -> Option<&'static str>
    width: u32
";
    assert_eq!(of(LIB, INNER), expected);
}

#[test]
fn listing_differs_if_an_item_is_added_removed_or_changed() {
    let whole = of(LIB, INNER);
    for (what, lib, inner) in [
        ("an added function", format!("{LIB} pub fn more() {{}}"), INNER.to_owned()),
        ("an added export", format!("{LIB} pub use inner::Pinned;"), INNER.to_owned()),
        ("a removed constant", LIB.replace("pub const", "const"), INNER.to_owned()),
        ("another type of a field", LIB.to_owned(), INNER.replace("width: u32", "width: u64")),
        ("another argument", LIB.to_owned(), INNER.replace("bytes: &[u8]", "bytes: &str")),
        ("a lost trait", LIB.to_owned(), INNER.replace("Clone, ", "")),
        ("a lost function", LIB.to_owned(), INNER.replace("pub async", "async")),
    ] {
        assert_ne!(of(&lib, &inner), whole, "{what}");
    }
    // Items that others do not see may change.
    assert_eq!(of(LIB, &INNER.replace("secret: u32", "secret: u64")), whole);
}

#[test]
fn type_that_is_defined_twice_is_found() {
    let inner = format!("{INNER} struct Within;");
    let source = Source::parse(&|file| if file == "lib.rs" { LIB.to_owned() } else { inner.clone() });
    let defined = defined(&source);
    assert_eq!(defined["Within"], ["", "inner"]);
    assert!(defined["Pinned"].len() == 1 && !defined.contains_key("Test"));
}
