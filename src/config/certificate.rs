//! The TLS settings. The files are read at once, so that their mistakes are reported with all others.

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

/// The keys of `[[upstream]]` for TLS.
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
        let what = "`cert` or `key` is missing";
        return Err(Problem::new(what, format!("write both, as in {EXAMPLE}")).into());
    };
    Identity::read(cert, key).map_err(|flaws| {
        Problems(flaws.iter().map(|flaw| Problem::new(flaw.to_string(), advice(flaw))).collect())
    })
}

/// Reads the authorities of a `ca_file`. Returns them and the name of the file.
pub(super) fn authorities(given: Given<'_>) -> Result<(Authorities, String), Problems> {
    let file = given.text("\"/etc/streamgauge/ca.pem\"")?;
    let read = Authorities::read(file);
    let authorities = read.map_err(|flaw| Problem::new(flaw.to_string(), advice(&flaw)))?;
    Ok((authorities, file.to_owned()))
}

/// The files as TOML that can be read again.
pub(super) fn show(identity: &Identity) -> Option<String> {
    let (cert, key) = identity.files()?;
    Some(format!("{{ cert = {}, key = {} }}", path(cert), path(key)))
}

/// A path as a TOML string.
pub(super) fn path(path: &Path) -> String {
    toml::Value::from(path.to_string_lossy().as_ref()).to_string()
}

/// A file name, and the place where it was written.
type Written = (String, SettingPlace);

/// The TLS files of an upstream's entry, in the order of [`LEAVES`].
#[derive(Debug, Default)]
pub(super) struct Files([Option<Written>; 3]);

impl Files {
    /// Stores the file of one of [`LEAVES`].
    pub(super) fn set(&mut self, leaf: &str, given: Given<'_>, place: SettingPlace) -> Result<(), Problem> {
        let file = given.text("\"/etc/streamgauge/ca.pem\"")?;
        let position = LEAVES.iter().position(|known| *known == leaf).expect("the leaf is one of LEAVES");
        self.0[position] = Some((file.to_owned(), place));
        Ok(())
    }

    /// The verification of the server at `url`; `None` for plain HTTP. `entry` is the place to report for mistakes
    /// outside of files.
    pub(super) fn trust(self, url: &Url, entry: &SettingPlace, out: &mut Vec<Mistake>) -> Option<Trust> {
        if url.scheme() != "https" {
            for (leaf, file) in LEAVES.iter().zip(self.0) {
                if let Some((_, place)) = file {
                    let problem = Problem::new(
                        "this key needs an https url",
                        "write https:// in the url, or remove this key",
                    );
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

/// Reads `client_cert` and `client_key`, which must be given together.
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
    let problem = Problem::new(format!("`{other}` is missing"), format!("add `{other}`, or remove this key"));
    out.push(problem.at(place, format!("upstream.{leaf}")));
    None
}

fn mistake(flaw: &Unusable, leaf: &str, place: &SettingPlace) -> Mistake {
    Problem::new(flaw.to_string(), advice(flaw)).at(place.clone(), format!("upstream.{leaf}"))
}

pub(super) fn advice(flaw: &Unusable) -> String {
    match flaw {
        Unusable::Unread { .. } => "name a file that this user may read",
        Unusable::NoCertificate(_) => "name a PEM file, in which a certificate begins with -----BEGIN CERTIFICATE-----",
        Unusable::NoKey(_) => "name a PEM file, in which a key begins with -----BEGIN PRIVATE KEY-----, or RSA or EC before PRIVATE",
        Unusable::Encrypted(_) => "remove its password with `openssl pkey -in FILE -out OTHER`, and name the new file",
        Unusable::Mismatch { .. } => {
            "put the server's own certificate first, and name the key of this certificate"
        }
        Unusable::NoAuthorities(_) => "install ca-certificates, or name a `ca_file`",
        Unusable::Name(_) => "write a DNS name or an IP address",
        _ => "replace the file: it is incomplete or not PEM",
    }
    .to_owned()
}
