//! The certificate authorities trusted for outgoing connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Outgoing calls of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressConfig {
    /// PEM file of certificate authorities that are trusted beside the public ones.
    pub ca_certificates: Option<PathBuf>,
}

impl EgressConfig {
    /// Loads the certificate authorities. Fails as [`TlsRoots::new`] does.
    pub fn tls_roots(&self) -> Result<TlsRoots, TlsRootsError> {
        TlsRoots::new(self.ca_certificates.as_deref())
    }
}

/// The trusted certificate authorities. A clone is shallow.
#[derive(Clone)]
pub struct TlsRoots {
    config: Arc<ClientConfig>,
}

/// The reason why the certificate authorities cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TlsRootsError {
    /// The file cannot be read or contains no certificates.
    #[error("cannot read certificates from {file}: {why}; it must hold authorities in PEM format")]
    Unreadable {
        /// The path of the file.
        file: PathBuf,
        /// The reason.
        why: String,
    },
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

impl TlsRoots {
    /// Mozilla's authorities, compiled in, and those of a PEM file. Fails if the file contains
    /// none.
    pub fn new(extra: Option<&Path>) -> Result<TlsRoots, TlsRootsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        if let Some(file) = extra {
            add(&mut roots, file)
                .map_err(|why| TlsRootsError::Unreadable { file: file.to_owned(), why })?;
        }

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .map_err(TlsRootsError::Setup)?
            .with_root_certificates(roots)
            .with_no_client_auth();

        Ok(TlsRoots { config: Arc::new(config) })
    }

    /// The configuration of TLS connections.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        count += 1;
    }

    if count == 0 { Err("there is none in it".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        TlsRoots::new(Some(file.path())).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        TlsRoots::new(None).unwrap();

        assert!(fault(b"").contains("there is none in it"));
        let error = fault(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(error.contains("cannot read certificates"), "{error}");
        let error =
            TlsRoots::new(Some(Path::new("/no/such.pem"))).map(drop).unwrap_err().to_string();
        assert!(error.contains("/no/such.pem"), "{error}");
    }
}
