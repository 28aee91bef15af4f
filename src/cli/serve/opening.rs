//! The lines in the terminal when the sidecar starts: the Ollamas, the address for clients, the page and the
//! metrics.

use std::{net::SocketAddr, sync::Arc};

use crate::upstream::Health;

/// The most models that are named. Further models are counted.
const NAMED: usize = 3;
/// The model in the suggested command if the upstream lists none.
const MODEL: &str = "gemma3";

/// The addresses of the listeners, and what they require.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    /// The address at which a client on this machine reaches the proxy listener.
    pub(super) proxy: SocketAddr,
    pub(super) proxy_tls: bool,
    /// The address at which a browser on this machine reaches the admin listener.
    pub(super) admin: SocketAddr,
    pub(super) admin_tls: bool,
    /// Requests need a key, which the command `ollama` cannot send.
    pub(super) needs_key: bool,
}

/// The opening lines, with one line for each upstream.
pub(super) fn lines<'a>(
    addresses: Addresses,
    upstreams: impl Iterator<Item = (Arc<Health>, &'a str)>,
) -> String {
    let Addresses { proxy, proxy_tls, admin, admin_tls, needs_key } = addresses;
    let scheme = |tls| if tls { "https" } else { "http" };
    let (clients, page) =
        (format!("{}://{proxy}", scheme(proxy_tls)), format!("{}://{admin}/", scheme(admin_tls)));
    let mut text = String::from("\n");
    let (mut model, mut is_up, mut is_down) = (None, false, false);
    for (health, url) in upstreams {
        text += &format!("  Ollama    {url}  {}\n", state(&health));
        model = model.or_else(|| suggested(&health));
        is_up |= health.alive;
        is_down |= !health.alive;
    }
    if is_down {
        text += "            Start Ollama, or name it: --upstream http://HOST:PORT\n";
    }
    // Without an Ollama, no command works.
    let try_it = if !is_up {
        String::new()
    } else if needs_key {
        format!("  try: curl -H 'Authorization: Bearer KEY' {clients}/api/tags")
    } else {
        let host = if proxy_tls { clients.clone() } else { proxy.to_string() };
        format!("  try: OLLAMA_HOST={host} ollama run {}", model.as_deref().unwrap_or(MODEL))
    };
    text += &format!("  Clients   {clients}{try_it}\n");
    text += &format!("  Page      {page}\n  Metrics   {page}metrics\n\n");
    text
}

/// The version and the loaded models, or why the upstream does not answer.
fn state(health: &Health) -> String {
    if !health.alive {
        let why = health.why.as_deref().unwrap_or("it has not answered yet");
        return format!("does not answer: {why}");
    }
    let version = health.version.as_deref().unwrap_or("unknown");
    let loaded: Vec<_> = health.loaded.iter().flatten().map(|loaded| loaded.model.as_str()).collect();
    let models = match loaded.len() {
        0 => "no model loaded".to_owned(),
        1..=NAMED => format!("loaded: {}", loaded.join(", ")),
        many => format!("loaded: {} and {} more", loaded[..NAMED].join(", "), many - NAMED),
    };
    format!("version {version}, {models}").replace(char::is_control, "?")
}

/// A model for the suggested command: a loaded one, else an installed one.
fn suggested(health: &Health) -> Option<String> {
    let loaded = health.loaded.iter().flatten().map(|loaded| loaded.model.clone()).next();
    loaded.or_else(|| health.installed.as_ref()?.values().next().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Loaded;

    fn loaded(names: &[&str]) -> Health {
        let loaded = names.iter().map(|name| Loaded {
            model: (*name).to_owned(),
            size: None,
            vram: None,
            context_length: None,
            expires_at: None,
        });
        let mut health = Health::default();
        health.alive = true;
        health.version = Some("0.34.3".to_owned());
        health.loaded = Some(loaded.collect());
        health
    }

    #[test]
    fn state_names_the_version_and_the_loaded_models() {
        assert_eq!(state(&loaded(&[])), "version 0.34.3, no model loaded");
        assert_eq!(state(&loaded(&["a:1", "b:1"])), "version 0.34.3, loaded: a:1, b:1");
        assert_eq!(state(&loaded(&["a", "b", "c", "d", "e"])), "version 0.34.3, loaded: a, b, c and 2 more");
        let mut down = Health::default();
        down.why = Some("Connection refused (os error 111)".to_owned());
        assert_eq!(state(&down), "does not answer: Connection refused (os error 111)");
    }

    #[test]
    fn opening_without_an_ollama_names_the_next_step_and_no_command_that_fails() {
        let addresses = |needs_key| Addresses {
            proxy: "127.0.0.1:11440".parse().unwrap(),
            proxy_tls: false,
            admin: "127.0.0.1:9464".parse().unwrap(),
            admin_tls: false,
            needs_key,
        };
        let step = "\n            Start Ollama, or name it: --upstream http://HOST:PORT\n  Clients ";
        let (up, down) = (Arc::new(loaded(&["a"])), Arc::new(Health::default()));
        for needs_key in [false, true] {
            let text = |all: &[&Arc<Health>]| {
                lines(addresses(needs_key), all.iter().map(|one| (Arc::clone(one), "http://gpu0:1")))
            };
            let without = text(&[&down, &down]);
            assert_eq!(without.matches(step).count(), 1, "{without}");
            assert!(!without.contains("try: "), "{without}");
            let with_both = text(&[&up, &down]);
            assert!(with_both.contains(step) && with_both.contains("try: "), "{with_both}");
            let with = text(&[&up]);
            assert!(!with.contains(step) && with.contains("try: "), "{with}");
        }
    }

    #[test]
    fn version_of_an_upstream_cannot_control_the_terminal() {
        let mut health = loaded(&[]);
        health.version = Some("\x1b[2J".to_owned());
        assert_eq!(state(&health), "version ?[2J, no model loaded");
    }

    #[test]
    fn model_in_memory_is_suggested_before_one_on_the_disk() {
        let mut health = loaded(&[]);
        health.installed = Some([("b:latest".to_owned(), "B:latest".to_owned())].into());
        assert_eq!(suggested(&health).as_deref(), Some("B:latest"));
        health.loaded = loaded(&["a"]).loaded;
        assert_eq!(suggested(&health).as_deref(), Some("a"));
        assert_eq!(suggested(&Health::default()), None);
    }
}
