//! The modules of a crate, parsed, and what a path in one of them leads to.

use std::{collections::BTreeMap, fs, path::Path};

use quote::ToTokens;
use syn::{Attribute, Expr, Item, Lit, Meta, UseTree};

/// The path of a module from the crate's root.
pub(crate) type ModulePath = Vec<String>;

/// A crate: each module that is compiled without tests, with its items.
pub(crate) struct Source {
    modules: BTreeMap<ModulePath, Vec<Item>>,
    docs: BTreeMap<ModulePath, String>,
}

/// The target of a name.
pub(crate) enum Found<'a> {
    /// An item, and the module that defines it.
    Item(ModulePath, &'a Item),
    Module(ModulePath),
    /// Something of another crate.
    Foreign(String),
}

/// One name that a `use` brings, and the path that it stands for.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

impl Source {
    pub(crate) fn read(folder: &str) -> Source {
        Source::parse(&|file| fs::read_to_string(Path::new(folder).join(file)).unwrap())
    }

    /// `read` returns the text of a file, by its path from the folder of `lib.rs`.
    pub(crate) fn parse(read: &dyn Fn(&str) -> String) -> Source {
        let mut source = Source { modules: BTreeMap::new(), docs: BTreeMap::new() };
        let root = syn::parse_file(&read("lib.rs")).unwrap();
        source.enter(Vec::new(), root, read);
        source
    }

    fn enter(&mut self, path: ModulePath, file: syn::File, read: &dyn Fn(&str) -> String) {
        let items: Vec<_> = file.items.into_iter().flat_map(unwrapped).collect();
        for item in &items {
            let Item::Mod(module) = item else { continue };
            if is_of_tests(&module.attrs) {
                continue;
            }
            let mut inner = path.clone();
            inner.push(module.ident.to_string());
            let file = match &module.content {
                Some((_, items)) => syn::File {
                    shebang: None,
                    frontmatter: None,
                    attrs: module.attrs.clone(),
                    items: items.clone(),
                },
                None => {
                    let file = format!("{}.rs", inner.join("/"));
                    syn::parse_file(&read(&file)).unwrap_or_else(|error| panic!("{file}: {error}"))
                }
            };
            self.enter(inner, file, read);
        }
        self.docs.insert(path.clone(), docs(&file.attrs));
        self.modules.insert(path, items);
    }

    /// Each module with its items, those of tests left out.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (&ModulePath, impl Iterator<Item = &Item>)> {
        self.modules.keys().map(|path| (path, self.items(path)))
    }

    /// The documentation of a module.
    pub(crate) fn docs(&self, module: &[String]) -> &str {
        &self.docs[module]
    }

    pub(crate) fn items(&self, module: &[String]) -> impl Iterator<Item = &Item> {
        self.modules[module].iter().filter(|item| !is_of_tests(attributes(item)))
    }

    /// The targets of a path in a module: several if features choose between them.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Vec<Found<'_>> {
        let (mut here, mut rest) = (module.to_vec(), path);
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => here.clear(),
                "self" => {}
                "super" => drop(here.pop()),
                _ => break,
            }
            rest = after;
        }
        let Some((name, after)) = rest.split_first() else { return vec![Found::Module(here)] };
        // A module may have the name of what it defines; what goes on is the module.
        let is_module = |item: &Item| matches!(item, Item::Mod(inner) if inner.ident == *name);
        if !after.is_empty() && self.items(&here).any(is_module) {
            here.push(name.clone());
            return self.resolve(&here, after);
        }
        let found = self.named(&here, name);
        if found.is_empty() && rest.len() == path.len() {
            return vec![Found::Foreign(path.join("::"))];
        }
        found.into_iter().flat_map(|found| self.follow(found, after)).collect()
    }

    fn follow<'a>(&'a self, found: Found<'a>, rest: &[String]) -> Vec<Found<'a>> {
        match found {
            found if rest.is_empty() => vec![found],
            Found::Module(module) => self.resolve(&module, rest),
            Found::Foreign(path) => vec![Found::Foreign(format!("{path}::{}", rest.join("::")))],
            Found::Item(..) => Vec::new(),
        }
    }

    /// The meaning of a name inside a module.
    fn named(&self, module: &[String], name: &str) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        for item in self.items(module) {
            match item {
                Item::Mod(inner) if inner.ident == name => {
                    found.push(Found::Module(module.iter().cloned().chain([name.to_owned()]).collect()));
                }
                Item::Use(import) => {
                    let imports = imports(&import.tree).into_iter().filter(|import| import.name == name);
                    // `use bytes::Bytes` leads out; `use self::x::X` leads on.
                    found.extend(imports.flat_map(|import| self.imported(module, &import.path)));
                }
                item if identifier(item).is_some_and(|own| own == name) => {
                    found.push(Found::Item(module.to_vec(), item));
                }
                _ => {}
            }
        }
        found
    }

    fn imported(&self, module: &[String], path: &[String]) -> Vec<Found<'_>> {
        let is_local = |first: &str| {
            ["crate", "self", "super"].contains(&first)
                || self.items(module).any(|item| matches!(item, Item::Mod(inner) if inner.ident == first))
        };
        if path.first().is_some_and(|first| is_local(first)) {
            self.resolve(module, path)
        } else {
            vec![Found::Foreign(path.join("::"))]
        }
    }
}

/// The items inside `pin_project! { … }`, or the item itself.
fn unwrapped(item: Item) -> Vec<Item> {
    match item {
        Item::Macro(call)
            if call.mac.path.segments.last().is_some_and(|last| last.ident == "pin_project") =>
        {
            syn::parse2::<syn::File>(call.mac.tokens).unwrap().items
        }
        item => vec![item],
    }
}

/// The names that a tree of `use` brings. A glob is the name `*`.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    fn enter(tree: &UseTree, path: &[String], found: &mut Vec<Import>) {
        let with = |name: String| path.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(inner) => enter(&inner.tree, &with(inner.ident.to_string()), found),
            UseTree::Name(inner) if inner.ident == "self" => {
                found.push(Import { name: path.last().unwrap().clone(), path: path.to_vec() });
            }
            UseTree::Name(inner) => {
                found.push(Import { name: inner.ident.to_string(), path: with(inner.ident.to_string()) });
            }
            UseTree::Rename(inner) => {
                found.push(Import { name: inner.rename.to_string(), path: with(inner.ident.to_string()) });
            }
            UseTree::Glob(_) => found.push(Import { name: "*".to_owned(), path: path.to_vec() }),
            UseTree::Group(inner) => inner.items.iter().for_each(|tree| enter(tree, path, found)),
        }
    }
    let mut found = Vec::new();
    enter(tree, &[], &mut found);
    found
}

/// The name of an item that a path can lead to.
pub(crate) fn identifier(item: &Item) -> Option<&syn::Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        _ => None,
    }
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is compiled for tests alone.
pub(crate) fn is_of_tests(attributes: &[Attribute]) -> bool {
    conditions(attributes).iter().any(|condition| ["test", "doctest"].contains(&condition.as_str()))
}

/// The condition of `#[cfg(…)]`.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<String> {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .map(|attribute| super::print::text(&attribute.meta.require_list().unwrap().tokens.to_token_stream()))
        .collect()
}

/// The documentation, line by line.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(line) => Some(line.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
