//! The name of a type says which one it is: no crate defines one twice.

use std::collections::BTreeMap;

use syn::Item;

use super::{
    PACKAGES,
    source::{Source, identifier},
};

/// Names that a crate may define more than once, with the reason.
const SHARED: [(&str, &str); 11] = [
    ("Config", "each stage has its own settings, and the module says which"),
    ("Error", "each stage has its own errors, and the module says which"),
    ("Families", "each stage has its own metrics, and the module says which"),
    ("Account", "the feature `shared` chooses one of two, and others name either"),
    ("SharedEntry", "the feature `shared` chooses one of two, and others name either"),
    ("SharedVerdict", "the feature `shared` chooses one of two, and others name either"),
    ("Store", "the feature `shared` chooses one of two, and others name either"),
    ("Traces", "the feature `traces` chooses one of two, and others name either"),
    ("NoExporter", "the feature `traces` chooses one of two, and others name either"),
    ("Sampled", "the feature `traces` chooses one of two, and others name either"),
    ("Insertion", "the feature `coding` chooses one of two, and others name either"),
];

#[test]
fn type_name_is_defined_once_per_crate() {
    let mut twice = Vec::new();
    for package in PACKAGES {
        for (name, places) in defined(&Source::read(package.sources)) {
            if places.len() > 1 && SHARED.iter().all(|(shared, _)| *shared != name) {
                twice.push(format!("{}: {name} in {}", package.name, places.join(", ")));
            }
        }
    }
    assert!(twice.is_empty(), "rename all but one, so that each name tells:\n{}", twice.join("\n"));
}

/// Each type and trait, and the modules that define it.
pub(crate) fn defined(source: &Source) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, items) in source.modules() {
        for item in items {
            if matches!(
                item,
                Item::Struct(_) | Item::Enum(_) | Item::Trait(_) | Item::Type(_) | Item::Union(_)
            ) {
                found.entry(identifier(item).unwrap().to_string()).or_default().push(module.join("::"));
            }
        }
    }
    found
}
