//! The text of a snapshot: one line for each public item and each of its parts.

use super::interface::Public;

/// Modules in order, each with its items, each with its parts.
pub(crate) fn listing(package: &str, items: &[Public]) -> String {
    let krate = package.replace('-', "_");
    let (mut text, mut module) = (String::new(), None);
    for item in items {
        if module != Some(&item.module) {
            let path: Vec<_> = [krate.clone()].into_iter().chain(item.module.iter().cloned()).collect();
            let between = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{between}mod {}\n", path.join("::")));
            module = Some(&item.module);
        }
        let conditions = item.conditions.iter().map(|condition| format!(" [{condition}]"));
        let traits =
            if item.traits.is_empty() { String::new() } else { format!(": {}", item.traits.join(" + ")) };
        text.push_str(&format!("  {}{traits}{}\n", item.signature, conditions.collect::<String>()));
        for member in &item.members {
            text.push_str(&format!("    {member}\n"));
        }
    }
    text
}
