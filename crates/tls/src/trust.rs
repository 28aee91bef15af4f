//! The certificates that a client trusts, and the certificate that it presents.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use reqwest::ClientBuilder;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{
    HTTP_1_1, Identity, Unusable,
    identity::{parse_chain, read},
    pinned::Pinned,
    provider,
};

/// Certificates of authorities. Cheap to clone.
#[derive(Clone)]
pub struct Authorities {
    file: Option<PathBuf>,
    roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Reads a PEM file. All certificates in it are trusted.
    ///
    /// # Errors
    /// The file cannot be read, contains no certificate, or contains a malformed one.
    pub fn read(file: impl AsRef<Path>) -> Result<Authorities, Unusable> {
        let file = file.as_ref();
        Authorities::of(&read(file, false)?, Some(file.to_owned()))
    }

    /// Reads the certificates from memory.
    ///
    /// # Errors
    /// As for [`Authorities::read`].
    pub fn from_pem(pem: &[u8]) -> Result<Authorities, Unusable> {
        Authorities::of(pem, None)
    }

    fn of(pem: &[u8], file: Option<PathBuf>) -> Result<Authorities, Unusable> {
        let mut roots = RootCertStore::empty();
        for certificate in parse_chain(pem, &file)? {
            roots.add(certificate).map_err(|_| Unusable::Malformed { file: file.clone(), is_key: false })?;
        }
        Ok(Authorities { file, roots: Arc::new(roots) })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("file", &self.file).field("count", &self.roots.len()).finish()
    }
}

/// How an upstream is verified, and the certificate that is presented if the upstream asks for one. Cheap to clone.
///
/// Two are equal if one is a clone of the other.
#[derive(Clone)]
pub struct Trust {
    authorities: Option<Authorities>,
    identity: Option<Identity>,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the authorities that this system trusts.
    ///
    /// # Errors
    /// The system has no authorities that can be read.
    pub fn system(identity: Option<Identity>) -> Result<Trust, Unusable> {
        let verifier = builder().with_platform_verifier();
        let verifier = verifier.map_err(|error| Unusable::NoAuthorities(error.to_string()))?;
        Ok(Trust { authorities: None, config: shows(verifier, identity.as_ref()), identity })
    }

    /// Trusts only these authorities.
    #[must_use]
    pub fn only(authorities: Authorities, identity: Option<Identity>) -> Trust {
        let verifier = builder().with_root_certificates(authorities.roots.clone());
        Trust { config: shows(verifier, identity.as_ref()), authorities: Some(authorities), identity }
    }

    /// Trusts a server that has this certificate and its key, whatever the certificate's name, age and authority.
    #[must_use]
    pub fn pinned(identity: &Identity) -> Trust {
        let pinned = Pinned::new(identity.certificate(), provider());
        let verifier = builder().dangerous().with_custom_certificate_verifier(Arc::new(pinned));
        Trust { authorities: None, identity: None, config: shows(verifier, None) }
    }

    /// Returns the file of the authorities, if they were read from a file.
    #[must_use]
    pub fn authorities_file(&self) -> Option<&Path> {
        self.authorities.as_ref()?.file.as_deref()
    }

    /// Returns the client certificate.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Trust) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trust { authorities, identity, .. } = self;
        f.debug_struct("Trust")
            .field("authorities", authorities)
            .field("identity", identity)
            .finish_non_exhaustive()
    }
}

/// Makes a client of reqwest verify servers by `trust`. Without `trust` it trusts no server and does not read the
/// system's authorities, because plain HTTP has to work on systems without authorities.
pub fn prepare(builder: ClientBuilder, trust: Option<&Trust>) -> ClientBuilder {
    match trust {
        Some(trust) => builder.tls_backend_preconfigured(ClientConfig::clone(trust.config())),
        None => builder.tls_certs_only([]),
    }
}

/// Makes a client of reqwest verify servers by the system's authorities, if it is for `https`.
///
/// # Errors
/// The system has no authorities that can be read.
pub fn by_system(builder: ClientBuilder, is_https: bool) -> Result<ClientBuilder, Unusable> {
    let trust = if is_https { Some(Trust::system(None)?) } else { None };
    Ok(prepare(builder, trust.as_ref()))
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    builder.expect("the provider speaks TLS 1.2 and 1.3")
}

fn shows(
    verifier: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut config = match identity {
        Some(identity) => verifier.with_client_cert_resolver(identity.resolver()),
        None => verifier.with_no_client_auth(),
    };
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}
