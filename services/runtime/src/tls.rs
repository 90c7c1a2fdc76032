//! TLS for listeners and for calls between parts: rustls with aws-lc, TLS 1.2 and 1.3.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;

use crate::config::{Problems, Validate};
use crate::error::Chain;

/// How old a certificate read from its files may become, while connections arrive.
const RELOAD: Duration = Duration::from_secs(10);

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
    /// A file holds nothing of what it should.
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
    /// Reads the files; offers HTTP/2 and HTTP/1.1. Files that change are read again without a restart.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = ReloadedPair::new(self.clone(), Arc::clone(&provider))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(pair));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        Ok(CertifiedKey::from_der(certificates(&self.certificate_file)?, self.key()?, provider)?)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_file(&self.key_file).map_err(|error| unusable(&self.key_file, error))
    }
}

/// The certificates in a file: at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, pem::Error::NoItemsFound)),
        found => found.map_err(|error| unusable(path, error)),
    }
}

fn unusable(path: &Path, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(error) => TlsError::File(path.to_owned(), error),
        error => TlsError::Pem(path.to_owned(), error),
    }
}

/// What is said of a file. Of one that can be read nothing is repeated: it may hold a key.
fn said(error: &TlsError) -> String {
    match error {
        TlsError::File(..) => Chain(error).to_string(),
        TlsError::Pem(..) | TlsError::Pair(_) => error.to_string(),
    }
}

impl Validate for ServerTls {
    fn validate(&self, problems: &mut Problems) {
        let (chain, key) = (certificates(&self.certificate_file), self.key());
        let both = chain.is_ok() && key.is_ok();
        if let Err(error) = chain {
            problems.add(
                "certificate_file",
                said(&error),
                "a PEM file with the chain, the listener's certificate first",
            );
        }
        if let Err(error) = key {
            problems.add("key_file", said(&error), "a PEM file with the certificate's private key");
        }
        if both && let Err(error) = self.load() {
            problems.add("", said(&error), "a certificate and the key that belongs to it");
        }
    }
}

impl Validate for ClientTls {
    fn validate(&self, problems: &mut Problems) {
        if let Err(error) = certificates(&self.ca_file) {
            problems.add("ca_file", said(&error), "a PEM file with the authorities' certificates");
        }
    }
}

/// A certificate and its key, read again when it is used and was last read a while ago.
#[derive(Debug)]
struct ReloadedPair {
    files: ServerTls,
    provider: Arc<CryptoProvider>,
    current: Mutex<(Arc<CertifiedKey>, Instant)>,
}

impl ReloadedPair {
    fn new(files: ServerTls, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let current = Mutex::new((Arc::new(files.read(&provider)?), Instant::now()));
        Ok(Self { files, provider, current })
    }

    /// The pair in the files, read again if the last time is at least `age` ago. While they hold nothing usable (someone
    /// may be writing them) the one before stays.
    fn current(&self, age: Duration) -> Arc<CertifiedKey> {
        let mut current = self.current.lock();
        if current.1.elapsed() >= age {
            current.1 = Instant::now();
            match self.files.read(&self.provider) {
                Ok(pair) => current.0 = Arc::new(pair),
                Err(error) => tracing::error!(error = %Chain(&error), "the certificate cannot be read again"),
            }
        }
        Arc::clone(&current.0)
    }
}

impl ResolvesServerCert for ReloadedPair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current(RELOAD))
    }
}

impl ClientTls {
    pub(crate) fn load(&self) -> Result<tonic::transport::ClientTlsConfig, TlsError> {
        certificates(&self.ca_file)?;
        let ca = std::fs::read(&self.ca_file).map_err(|error| TlsError::File(self.ca_file.clone(), error))?;
        let config =
            tonic::transport::ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(ca));
        Ok(match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_certificate_is_taken_up_and_a_torn_one_leaves_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = ServerTls { certificate_file: folder.path().join("crt"), key_file: folder.path().join("key") };
        let renew = || {
            let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&files.certificate_file, pair.cert.pem()).unwrap();
            std::fs::write(&files.key_file, pair.signing_key.serialize_pem()).unwrap();
            pair.cert.der().clone()
        };
        let first = renew();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = ReloadedPair::new(files.clone(), provider).unwrap();
        let second = renew();
        assert_eq!(pair.current(Duration::MAX).cert[0], first, "read again too early");
        assert_eq!(pair.current(Duration::ZERO).cert[0], second);
        std::fs::write(&files.key_file, "-----BEGIN").unwrap();
        assert_eq!(pair.current(Duration::ZERO).cert[0], second);
    }
}
