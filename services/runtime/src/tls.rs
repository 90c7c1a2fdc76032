//! TLS for listeners and for calls between parts: rustls with aws-lc, TLS 1.2 and 1.3.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

/// A listener's certificate chain and key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// The chain, the listener's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC1.
    pub key_file: PathBuf,
}

/// Whom a client trusts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// The certificates of the authorities that sign the parts' certificates.
    pub ca_file: PathBuf,
    /// The name the server's certificate must bear, where it is not the address's host.
    pub server_name: Option<String>,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of what it should.
    #[error("{} holds no usable PEM", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// Key and certificate do not fit together or cannot be used.
    #[error("the certificate and its key cannot be used")]
    Pair(#[from] rustls::Error),
}

impl ServerTls {
    /// Reads the files; offers HTTP/2 and HTTP/1.1.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let pem = |path: &Path| {
            let path = path.to_owned();
            move |error| TlsError::Pem(path, error)
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(pem(&self.certificate_file))?;
        let key = PrivateKeyDer::from_pem_file(&self.key_file).map_err(pem(&self.key_file))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ClientTls {
    pub(crate) fn load(&self) -> Result<tonic::transport::ClientTlsConfig, TlsError> {
        let ca = std::fs::read(&self.ca_file).map_err(|error| TlsError::File(self.ca_file.clone(), error))?;
        let config =
            tonic::transport::ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(ca));
        Ok(match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}
