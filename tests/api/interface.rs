//! The public items of a crate, by the modules that others see.

use std::collections::BTreeMap;

use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, Visibility};

use super::{
    print::text,
    source::{Found, ModulePath, Source, attributes, conditions, docs, identifier, imports},
};

/// A public item.
pub(crate) struct Public {
    /// The module in which others see it.
    pub(crate) module: ModulePath,
    pub(crate) name: String,
    /// Its kind and signature.
    pub(crate) signature: String,
    /// Fields, variants and functions, each with its signature.
    pub(crate) members: Vec<String>,
    /// Traits of a type.
    pub(crate) traits: Vec<String>,
    /// The features under which it exists.
    pub(crate) conditions: Vec<String>,
    /// Its documentation.
    pub(crate) docs: String,
    /// The module and the name that define it.
    defined: Option<(ModulePath, String)>,
}

impl Public {
    /// Another name for something that is listed elsewhere.
    pub(crate) fn is_again(&self) -> bool {
        self.signature.starts_with("use ")
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.conditions.iter().any(|condition| condition == HIDDEN)
    }
}

/// The mark of what the documentation does not show.
const HIDDEN: &str = "hidden";

/// Every public item, in the order of modules and names.
pub(crate) fn interface(source: &Source) -> Vec<Public> {
    let mut found = Vec::new();
    walk(source, (&[], &[]), &[], &mut found);
    found.sort_by(|one, other| (&one.module, &one.name).cmp(&(&other.module, &other.name)));
    // An item with several paths is listed once, at its shortest path.
    let mut told: BTreeMap<(ModulePath, String), String> = BTreeMap::new();
    let mut order: Vec<_> = (0..found.len()).collect();
    order.sort_by_key(|at| found[*at].module.len());
    for at in order {
        let public = &mut found[at];
        let Some(defined) = public.defined.clone() else { continue };
        let path: Vec<_> = public.module.iter().cloned().chain([public.name.clone()]).collect();
        if let Some(first) = told.get(&defined) {
            public.signature = format!("use crate::{first}");
            (public.members, public.traits) = (Vec::new(), Vec::new());
        } else {
            told.insert(defined, path.join("::"));
        }
    }
    found
}

/// `seen` is the module as others name it, `module` the one that it is.
fn walk(source: &Source, (seen, module): (&[String], &[String]), around: &[String], found: &mut Vec<Public>) {
    let within = |name: &str| seen.iter().cloned().chain([name.to_owned()]).collect::<ModulePath>();
    for item in source.items(module) {
        let own = conditions(attributes(item)).into_iter().chain(hidden(attributes(item)));
        let conditions: Vec<_> = around.iter().cloned().chain(own).collect();
        match item {
            Item::Mod(inner) if is_public(&inner.vis) => {
                let name = inner.ident.to_string();
                let path: Vec<_> = module.iter().cloned().chain([name.clone()]).collect();
                walk(source, (&within(&name), &path), &conditions, found);
            }
            Item::Use(import) if is_public(&import.vis) => {
                for import in imports(&import.tree) {
                    assert_ne!(import.name, "*", "list what is public instead of {}", import.path.join("::"));
                    for leads in source.resolve(module, &import.path) {
                        match leads {
                            Found::Item(defined, item) => {
                                let public = describe(source, (seen, &defined), item, &import.name);
                                let own = hidden(attributes(item));
                                let conditions = conditions.iter().cloned().chain(own).collect();
                                found.push(Public { conditions, ..public });
                            }
                            Found::Module(path) => {
                                walk(source, (&within(&import.name), &path), &conditions, found);
                            }
                            Found::Foreign(path) => found.push(Public {
                                module: seen.to_vec(),
                                name: import.name.clone(),
                                signature: format!("use {path} as {}", import.name),
                                members: Vec::new(),
                                traits: Vec::new(),
                                conditions: conditions.clone(),
                                docs: String::new(),
                                defined: None,
                            }),
                        }
                    }
                }
            }
            item if visibility(item).is_some_and(is_public) => {
                let name = identifier(item).unwrap().to_string();
                let public = describe(source, (seen, module), item, &name);
                found.push(Public { conditions, ..public });
            }
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(item) => Some(&item.vis),
        Item::Enum(item) => Some(&item.vis),
        Item::Fn(item) => Some(&item.vis),
        Item::Static(item) => Some(&item.vis),
        Item::Struct(item) => Some(&item.vis),
        Item::Trait(item) => Some(&item.vis),
        Item::Type(item) => Some(&item.vis),
        _ => None,
    }
}

fn describe(source: &Source, (seen, module): (&[String], &[String]), item: &Item, name: &str) -> Public {
    let mut members = Vec::new();
    let mut traits = derived(attributes(item));
    let open = if has(attributes(item), "non_exhaustive") { "non_exhaustive " } else { "" };
    let signature = match item {
        Item::Const(item) => format!("const {name}: {}", text(&item.ty)),
        Item::Static(item) => format!("static {name}: {}", text(&item.ty)),
        Item::Type(item) => format!("type {name}{} = {}", text(&item.generics), text(&item.ty)),
        Item::Fn(item) => function(&item.sig),
        Item::Struct(item) => {
            let (_, generics, bounds) = item.generics.split_for_impl();
            members.extend(fields(&item.fields));
            let rest = if item.fields.iter().all(|field| is_public(&field.vis)) { "" } else { " …" };
            spaced(&[&format!("{open}struct {name}{}{rest}", text(&generics)), &text(&bounds)])
        }
        Item::Enum(item) => {
            members.extend(item.variants.iter().map(|variant| {
                let fields = text(&variant.fields);
                let open = if has(&variant.attrs, "non_exhaustive") { "non_exhaustive " } else { "" };
                format!("{open}{}{}{}", variant.ident, gap(&fields), plain(&fields))
            }));
            format!("{open}enum {name}{}", text(&item.generics))
        }
        Item::Trait(item) => {
            members.extend(item.items.iter().map(of_trait));
            let above = text(&item.supertraits);
            let above = if above.is_empty() { above } else { format!(": {above}") };
            format!("trait {name}{}{above}", text(&item.generics))
        }
        _ => panic!("{name} is of a kind that has no name"),
    };
    if matches!(item, Item::Struct(_) | Item::Enum(_)) {
        of_impls(source, module, identifier(item).unwrap(), &mut members, &mut traits);
    }
    // The order of variants may be that of `Ord`; nothing else has one.
    members.sort();
    traits.sort();
    traits.dedup();
    Public {
        module: seen.to_vec(),
        name: name.to_owned(),
        signature,
        members,
        traits,
        conditions: Vec::new(),
        docs: docs(attributes(item)),
        defined: Some((module.to_vec(), identifier(item).unwrap().to_string())),
    }
}

/// A space before fields in braces, none before those in parentheses.
fn gap(fields: &str) -> &'static str {
    if fields.starts_with('{') { " " } else { "" }
}

/// Without the documentation of fields.
fn plain(fields: &str) -> String {
    let mut rest = fields.to_owned();
    while let Some(at) = rest.find("#[") {
        // Attributes of fields are documentation, whose text is one literal.
        let end =
            at + rest[at..].find("\"]").map_or_else(|| rest[at..].find(']').unwrap() + 1, |end| end + 2);
        rest.replace_range(at..end, "");
    }
    rest.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(")
}

fn spaced(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// As others see it: whether an argument may be changed inside is the function's own business.
fn function(signature: &syn::Signature) -> String {
    let mut signature = signature.clone();
    for argument in &mut signature.inputs {
        match argument {
            syn::FnArg::Receiver(receiver) if matches!(receiver.kind, syn::ReceiverKind::Value) => {
                receiver.mutability = None
            }
            syn::FnArg::Typed(argument) => {
                if let syn::Pat::Ident(name) = &mut *argument.pat {
                    name.mutability = None;
                }
            }
            _ => {}
        }
    }
    text(&signature).trim_end_matches(',').to_owned()
}

fn fields(fields: &Fields) -> Vec<String> {
    let public = fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis));
    public
        .map(|(at, field)| {
            let name = field.ident.as_ref().map_or_else(|| at.to_string(), ToString::to_string);
            format!("{name}: {}", text(&field.ty))
        })
        .collect()
}

fn of_trait(item: &TraitItem) -> String {
    match item {
        TraitItem::Fn(item) => {
            let by_itself = if item.default.is_some() { " { … }" } else { "" };
            format!("{}{by_itself}", function(&item.sig))
        }
        TraitItem::Const(item) => format!("const {}: {}", item.ident, text(&item.ty)),
        TraitItem::Type(item) => format!("type {}", item.ident),
        item => text(item),
    }
}

/// The items that `impl` blocks add to a type, wherever the blocks stand.
fn of_impls(
    source: &Source,
    module: &[String],
    name: &syn::Ident,
    members: &mut Vec<String>,
    traits: &mut Vec<String>,
) {
    for (place, items) in source.modules() {
        for item in items {
            let Item::Impl(block) = item else { continue };
            let Type::Path(own) = &*block.self_ty else { continue };
            let path: Vec<_> = own.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if path.last().is_none_or(|last| name != last) {
                continue;
            }
            let is_this = source.resolve(place, &path).iter().any(|found| {
                matches!(found, Found::Item(defined, item) if defined == module && identifier(item) == Some(name))
            });
            if !is_this {
                continue;
            }
            if let Some((path, _)) = &block.trait_ {
                let name = text(path.segments.last().unwrap());
                // To be dropped or pinned in its own way is no one else's business.
                traits.extend((!["Drop", "PinnedDrop"].contains(&name.as_str())).then_some(name));
                continue;
            }
            members.extend(block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(item) if is_public(&item.vis) && !is_left_out(&item.attrs) => {
                    Some(function(&item.sig))
                }
                ImplItem::Const(item) if is_public(&item.vis) && !is_left_out(&item.attrs) => {
                    Some(format!("const {}: {}", item.ident, text(&item.ty)))
                }
                _ => None,
            }));
        }
    }
}

fn is_left_out(attributes: &[Attribute]) -> bool {
    super::source::is_of_tests(attributes)
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

/// Whether the documentation leaves it out.
fn hidden(attributes: &[Attribute]) -> Option<String> {
    let is_hidden = |attribute: &Attribute| text(&attribute.meta) == "doc(hidden)";
    attributes.iter().any(is_hidden).then(|| HIDDEN.to_owned())
}

fn derived(attributes: &[Attribute]) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let list = text(&attribute.meta.require_list().unwrap().tokens);
        found.extend(list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
    }
    found
}
