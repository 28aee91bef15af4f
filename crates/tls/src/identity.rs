//! The certificate of this program, its chain, and its private key.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    Error, InconsistentKeys,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SigningKey, SingleCertAndKey},
};
use zeroize::{Zeroize, Zeroizing};

use super::{Source, Unusable};

/// A certificate with its chain, and the private key that belongs to it. Cheap to clone. `Debug` does not print the
/// key.
///
/// Two are equal if one is a clone of the other.
#[derive(Clone)]
pub struct Identity {
    files: Option<(PathBuf, PathBuf)>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads PEM files. `cert` contains the certificate, followed by its chain of authorities. `key` contains its
    /// private key (PKCS #8, PKCS #1 or SEC 1). Both may be the same file.
    ///
    /// # Errors
    /// All mistakes in the files: a file that cannot be read or does not contain the expected part, or a key that
    /// belongs to another certificate.
    pub fn read(cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Identity, Vec<Unusable>> {
        let (cert, key) = (cert.as_ref(), key.as_ref());
        let (chain, private) = (read(cert, false), read(key, true).map(Zeroizing::new));
        let (chain_of, key_of) = (Some(cert.to_owned()), Some(key.to_owned()));
        let chain = chain.and_then(|pem| parse_chain(&pem, &chain_of));
        let private = private.and_then(|pem| parse_key(&pem, &key_of));
        join(chain, private, chain_of, key_of)
    }

    /// Reads the certificate and the key from memory.
    ///
    /// # Errors
    /// As for [`Identity::read`].
    pub fn from_pem(cert: &[u8], key: &[u8]) -> Result<Identity, Vec<Unusable>> {
        join(parse_chain(cert, &None), parse_key(key, &None), None, None)
    }

    /// Returns the files of the certificate and of the key, if they were read from files.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.files.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()))
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.certified.clone()))
    }

    /// Returns the certificate without its chain.
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certified.cert.first().expect("a chain is not empty").clone()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.certified, &other.certified)
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

pub(super) fn read(file: &Path, is_key: bool) -> Result<Vec<u8>, Unusable> {
    fs::read(file).map_err(|error| Unusable::Unread { file: Some(file.to_owned()), is_key, error })
}

/// Returns all certificates of a PEM text, at least one. Text between them is ignored.
pub(super) fn parse_chain(pem: &[u8], of: &Source) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    // The parser's own message would quote the line.
    let chain = chain.map_err(|_| Unusable::Malformed { file: of.clone(), is_key: false })?;
    if chain.is_empty() { Err(Unusable::NoCertificate(of.clone())) } else { Ok(chain) }
}

fn parse_key(pem: &[u8], of: &Source) -> Result<Arc<dyn SigningKey>, Unusable> {
    let malformed = || Unusable::Malformed { file: of.clone(), is_key: true };
    let mut key = match PrivateKeyDer::pem_slice_iter(pem).next() {
        Some(Ok(key)) => key,
        Some(Err(_)) => return Err(malformed()),
        None if is_encrypted(pem) => return Err(Unusable::Encrypted(of.clone())),
        None => return Err(Unusable::NoKey(of.clone())),
    };
    let signing = any_supported_type(&key).map_err(|_| malformed());
    key.zeroize();
    signing
}

fn is_encrypted(pem: &[u8]) -> bool {
    memchr::memmem::find(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some()
}

fn join(
    chain: Result<Vec<CertificateDer<'static>>, Unusable>,
    key: Result<Arc<dyn SigningKey>, Unusable>,
    cert_file: Source,
    key_file: Source,
) -> Result<Identity, Vec<Unusable>> {
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(vec![Unusable::Mismatch { cert: cert_file, key: key_file }]);
        }
        Err(_) => return Err(vec![Unusable::Malformed { file: cert_file, is_key: false }]),
    }
    Ok(Identity { files: cert_file.zip(key_file), certified: Arc::new(certified) })
}
