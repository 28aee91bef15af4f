//! Removes from a plan what a recording must not contain.

use sha2::{Digest, Sha256};

use super::Plan;

pub(super) fn redacted(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for url in plan.upstreams.values_mut() {
        *url = without_user(url);
    }
    if !plan.keep_text {
        for role in &mut plan.roles {
            if let Some(prompt) = role.prompt.take() {
                role.prompt_sha256 = Some(hex(&Sha256::digest(prompt.as_bytes())));
            }
        }
    }
    plan
}

fn without_user(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut parsed)
            if parsed.has_authority() && (parsed.username() != "" || parsed.password().is_some()) =>
        {
            let cleared = parsed.set_username("").and_then(|()| parsed.set_password(None));
            cleared.map_or_else(|()| "***".into(), |()| parsed.to_string())
        }
        _ => url.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
