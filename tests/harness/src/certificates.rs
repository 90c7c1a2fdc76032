//! An authority of a family's own, and the certificate it gives to all parts.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// The files of a family whose parts speak TLS to each other.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) ca: PathBuf,
    /// The parts' certificate, good for this machine's address.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text).context("writing certificates")?;
            Ok(path)
        };
        Ok(Self {
            ca: write("ca.pem", issuer.pem())?,
            certificate: write("parts.pem", certificate.pem())?,
            key: write("parts.key", key.serialize_pem())?,
        })
    }
}
