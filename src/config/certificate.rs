//! Settings of TLS: certificates and keys, which are read at once, so that what is wrong with them is told.

#[cfg(test)]
mod tests;

use std::path::Path;

use url::Url;

use super::{
    field::Given,
    inline::table,
    mistake::{Mistake, Problem, Problems, SettingPlace},
};
use crate::tls::{Authorities, Identity, Peer, Trust, Unusable};

/// The keys of `[[upstream]]` that are of TLS.
pub(super) const LEAVES: [&str; 3] = ["ca_file", "client_cert", "client_key"];

const EXAMPLE: &str = "{ cert = \"cert.pem\", key = \"key.pem\" }";

/// Reads `proxy.tls` or `admin.tls`, and the files that it names.
pub(super) fn identity(given: Given<'_>) -> Result<Identity, Problems> {
    let (mut cert, mut key) = (None, None);
    table(given, EXAMPLE, &["cert", "key"], |leaf, given| {
        let place = if leaf == "cert" { &mut cert } else { &mut key };
        *place = Some(given.text("\"/etc/streamgauge/cert.pem\"")?.to_owned());
        Ok(())
    })?;
    let (Some(cert), Some(key)) = (cert, key) else {
        let what = "it takes both a `cert` and a `key`";
        return Err(Problem::new(what, format!("write both, as in {EXAMPLE}")).into());
    };
    Identity::read(cert, key).map_err(|flaws| {
        Problems(flaws.iter().map(|flaw| Problem::new(flaw.to_string(), advice(flaw))).collect())
    })
}

/// The files, as TOML that can be fed back.
pub(super) fn show(identity: &Identity) -> Option<String> {
    let (cert, key) = identity.files()?;
    Some(format!("{{ cert = {}, key = {} }}", path(cert), path(key)))
}

/// A path as TOML.
pub(super) fn path(path: &Path) -> String {
    toml::Value::from(path.to_string_lossy().as_ref()).to_string()
}

/// A file, and where it is named.
type Written = (String, SettingPlace);

/// What an upstream's entry says of TLS, in the order of [`LEAVES`].
#[derive(Debug, Default)]
pub(super) struct Files([Option<Written>; 3]);

impl Files {
    /// Notes one of [`LEAVES`].
    pub(super) fn set(&mut self, leaf: &str, given: Given<'_>, place: SettingPlace) -> Result<(), Problem> {
        let file = given.text("\"/etc/streamgauge/ca.pem\"")?;
        let position = LEAVES.iter().position(|known| *known == leaf).expect("it is one of them");
        self.0[position] = Some((file.to_owned(), place));
        Ok(())
    }

    /// How to verify whoever answers at `url`; `None` if it is plain. `entry` is the place of what is in no file.
    pub(super) fn trust(self, url: &Url, entry: &SettingPlace, out: &mut Vec<Mistake>) -> Option<Trust> {
        if url.scheme() != "https" {
            for (leaf, file) in LEAVES.iter().zip(self.0) {
                if let Some((_, place)) = file {
                    let problem =
                        Problem::new("it is of https and the url is not", "write https://…, or take it away");
                    out.push(problem.at(place, format!("upstream.{leaf}")));
                }
            }
            return None;
        }
        let [ca, cert, key] = self.0;
        let before = out.len();
        let authorities = ca.and_then(|(file, place)| {
            Authorities::read(file).map_err(|flaw| out.push(mistake(&flaw, "ca_file", &place))).ok()
        });
        let identity = pair(cert, key, out);
        if out.len() > before {
            return None;
        }
        let trust = match authorities {
            Some(authorities) => Ok(Trust::only(authorities, identity)),
            None => Trust::system(identity),
        };
        let judged = trust.and_then(|trust| Peer::new(url, Some(&trust)).map(|_| trust));
        judged.map_err(|flaw| out.push(mistake(&flaw, "url", entry))).ok()
    }
}

/// `client_cert` and `client_key`, of which there are both or none.
fn pair(cert: Option<Written>, key: Option<Written>, out: &mut Vec<Mistake>) -> Option<Identity> {
    match (cert, key) {
        (None, None) => None,
        (Some((cert, at_cert)), Some((key, at_key))) => Identity::read(cert, key)
            .map_err(|flaws| {
                out.extend(flaws.iter().map(|flaw| match flaw.is_of_key() {
                    true => mistake(flaw, "client_key", &at_key),
                    false => mistake(flaw, "client_cert", &at_cert),
                }));
            })
            .ok(),
        (Some((_, place)), None) => alone(out, "client_cert", "client_key", place),
        (None, Some((_, place))) => alone(out, "client_key", "client_cert", place),
    }
}

fn alone(out: &mut Vec<Mistake>, leaf: &str, other: &str, place: SettingPlace) -> Option<Identity> {
    let problem = Problem::new(format!("it is there without a `{other}`"), "add one, or take it away");
    out.push(problem.at(place, format!("upstream.{leaf}")));
    None
}

fn mistake(flaw: &Unusable, leaf: &str, place: &SettingPlace) -> Mistake {
    Problem::new(flaw.to_string(), advice(flaw)).at(place.clone(), format!("upstream.{leaf}"))
}

fn advice(flaw: &Unusable) -> String {
    match flaw {
        Unusable::Unread { .. } => "name a file that this user may read",
        Unusable::NoCertificate(_) => "it begins with -----BEGIN CERTIFICATE-----",
        Unusable::NoKey(_) => "it begins with -----BEGIN PRIVATE KEY-----, or with RSA or EC before PRIVATE",
        Unusable::Encrypted(_) => "write it without its password, as `openssl pkey -in FILE -out OTHER` does",
        Unusable::Mismatch { .. } => {
            "put the server's own certificate first, and name the key it was made with"
        }
        Unusable::NoAuthorities(_) => "install ca-certificates, or name a `ca_file`",
        Unusable::Name(_) => "write a name of DNS or an IP address",
        _ => "make it anew: it is cut, or no such thing",
    }
    .to_owned()
}
