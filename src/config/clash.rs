//! Mistakes of two values that are valid alone and contradict each other.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use url::{Host, Url};

use super::{
    mistake::{Mistake, Problem, SettingPlace},
    resolve::Resolved,
    suggest,
};

/// Adds every contradiction, except for those of keys. The reported place is the value to change first.
pub(super) fn find(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    find_in_listeners(resolved, mistakes);
    find_in_upstreams(resolved, mistakes);
    find_in_primary(resolved, mistakes);
    find_in_store(resolved, mistakes);
}

/// The keys are in a store that is not named.
fn find_in_store(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    if resolved.config.keys_store && resolved.config.shared.servers.is_empty() {
        let advice = "add shared.url, as in url = \"redis://127.0.0.1:6379\", or remove this key";
        let problem = Problem::new("the key has no effect without `shared.url`", advice);
        mistakes.push(problem.at(written(resolved, &["access.keys_store"]), "access.keys_store"));
    }
}

/// Both listeners use the same port.
fn find_in_listeners(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    let (proxy, admin) = (resolved.config.sidecar.proxy.listen, resolved.config.sidecar.admin.listen);
    if proxy.port() != 0 && proxy.port() == admin.port() && overlap(proxy, admin) {
        let problem = Problem::new(
            format!("`proxy.listen` ({proxy}) and `admin.listen` ({admin}) use the same port"),
            "choose another port for one of them",
        );
        mistakes.push(problem.at(written(resolved, &["admin.listen", "proxy.listen"]), "admin.listen"));
    }
}

/// Two upstreams have the same name, or an upstream is the sidecar itself.
fn find_in_upstreams(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    let sidecar = &resolved.config.sidecar;
    let listeners = [("proxy.listen", sidecar.proxy.listen), ("admin.listen", sidecar.admin.listen)];
    let mut seen = HashSet::new();
    for (position, one) in sidecar.upstream.upstreams.iter().enumerate() {
        let place = resolved.upstream_origins.get(position);
        if !seen.insert(&one.name) {
            let what = format!("the name {:?} is used by another upstream", one.name);
            let place = place.cloned().expect("the default upstream is alone");
            mistakes.push(Problem::new(what, "give each upstream its own name").at(place, "upstream.name"));
        }
        for (key, listen) in listeners {
            if reaches(&one.url, listen) {
                let what = format!("the url of {:?} is the address of this sidecar's own `{key}`", one.name);
                let problem = Problem::new(
                    what,
                    "write the address of an Ollama, or choose another address for the listener",
                );
                let place = place.cloned().unwrap_or_else(|| written(resolved, &[key]));
                mistakes.push(problem.at(place, "upstream.url"));
            }
        }
    }
}

/// Two keys share their name or their value, or no key can fulfil `access.require_key`.
pub(super) fn find_in_keys(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    let keys = &resolved.config.sidecar.admission.keys;
    let (mut names, mut digests) = (HashMap::new(), HashMap::new());
    for (one, place) in keys.iter().zip(&resolved.key_origins) {
        if let Some(other) = names.insert(one.name.as_str(), place) {
            let problem = Problem::new(
                format!("the name {:?} is used by another key, at {other}", one.name),
                "give each key its own name",
            );
            mistakes.push(problem.at(place.clone(), "key.name"));
        }
        if let Some((other, there)) = digests.insert(one.digest, (&one.name, place)) {
            let problem = Problem::new(
                format!("{:?} has the same key as {other:?}, at {there}", one.name),
                "give each caller its own key",
            );
            mistakes.push(problem.at(place.clone(), "key"));
        }
    }
    if resolved.config.keys_store && !resolved.has_stored_keys {
        // The store has keys that nobody has read yet.
        return;
    }
    for name in resolved.config.sidecar.admission.caller_header.iter().flat_map(|header| &header.keys) {
        if !names.contains_key(name.as_str()) {
            let known: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
            let advice = suggest::among(name, known.iter().copied())
                .map_or_else(|| "write the `name` of a [[key]]".to_owned(), suggest::did_you_mean);
            let problem = Problem::new(format!("no key is named {name:?}"), advice);
            mistakes.push(problem.at(written(resolved, &["access.caller_header"]), "access.caller_header"));
        }
    }
    if resolved.config.sidecar.admission.require_key && keys.is_empty() {
        let problem = Problem::new(
            "no key is configured, so every request would be refused",
            "add a [[key]], `access.keys_file` or `access.keys_store`, or remove this setting",
        );
        mistakes.push(problem.at(written(resolved, &["access.require_key"]), "access.require_key"));
    }
}

/// The primary upstream does not exist.
fn find_in_primary(resolved: &Resolved, mistakes: &mut Vec<Mistake>) {
    let upstream = &resolved.config.sidecar.upstream;
    if let Some(primary) = &upstream.primary
        && !upstream.upstreams.iter().any(|one| one.name == *primary)
    {
        let names: Vec<_> = upstream.upstreams.iter().map(|one| one.name.as_str()).collect();
        let advice = suggest::among(primary, names.iter().copied())
            .map_or_else(|| format!("choose one of {}", names.join(", ")), suggest::did_you_mean);
        let problem = Problem::new(format!("no upstream is named {primary:?}"), advice);
        mistakes.push(problem.at(written(resolved, &["upstreams.primary"]), "upstreams.primary"));
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}

/// Whether a request to `url` would reach `listen`. Only addresses and `localhost` are compared, without DNS.
pub(super) fn reaches(url: &Url, listen: SocketAddr) -> bool {
    if url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let local = |loopback: bool| loopback && (listen.ip().is_loopback() || listen.ip().is_unspecified());
    match url.host() {
        Some(Host::Ipv4(ip)) => ip == listen.ip() || listen.ip().is_unspecified() && ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip == listen.ip() || listen.ip().is_unspecified() && ip.is_loopback(),
        Some(Host::Domain(name)) => local(name == "localhost"),
        None => false,
    }
}

/// The place of the first of these keys that was set.
fn written(resolved: &Resolved, keys: &[&str]) -> SettingPlace {
    keys.iter()
        .find_map(|key| resolved.origins.get(key))
        .cloned()
        .expect("defaults do not clash with each other")
}
