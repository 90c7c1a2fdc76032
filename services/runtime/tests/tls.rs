//! Calls between parts over TLS: with the authority they trust they pass, without it nothing does.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runtime::grpc::{Server, Transport, TransportConfig};
use runtime::http_server::{HttpLimits, serve};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use runtime::tls::{ClientTls, ServerTls};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// An authority in `folder`, and a certificate for `localhost` that it signed.
fn certify(folder: &Path, authority: &str) -> (PathBuf, ServerTls) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let tls = ServerTls {
        certificate_file: write(folder, &format!("{authority}.crt"), &certificate.pem()),
        key_file: write(folder, &format!("{authority}.key"), &key.serialize_pem()),
    };
    (write(folder, &format!("{authority}.ca"), &issuer.pem()), tls)
}

#[tokio::test]
async fn parts_talk_over_tls_with_the_authority_they_trust_and_not_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, tls) = certify(folder.path(), "ours");
    let (stranger, _) = certify(folder.path(), "theirs");
    let (metrics, secret) = (Metrics::new(), PeerSecret::new("0123456789abcdef0123456789abcdef"));
    let server = Server::builder(secret.clone(), &metrics).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (config, counted) = (tls.load().unwrap(), metrics.clone());
    tokio::spawn(async move {
        let (limits, stop) = (HttpLimits::peers(), CancellationToken::new());
        serve(listener, server.network(), limits, Some(config), &counted, stop).await;
    });

    let check = async |uri: String, tls| {
        let config = TransportConfig { uri, tls, ..TransportConfig::default() };
        let transport = Transport::connect(&config, &secret, &metrics).unwrap();
        HealthClient::new(transport).check(HealthCheckRequest::default()).await.map_err(|status| status.code())
    };
    let with = |ca_file: &Path| Some(ClientTls { ca_file: ca_file.to_owned(), server_name: Some("localhost".into()) });
    assert!(check(format!("https://127.0.0.1:{port}"), with(&trusted)).await.is_ok());
    assert_eq!(check(format!("https://127.0.0.1:{port}"), with(&stranger)).await.unwrap_err(), Code::Unavailable);
    assert_eq!(check(format!("http://127.0.0.1:{port}"), None).await.unwrap_err(), Code::Unavailable);
}

#[test]
fn a_file_that_holds_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut tls) = certify(folder.path(), "ours");
    tls.key_file = write(folder.path(), "empty.key", "");
    assert!(tls.load().unwrap_err().to_string().contains("empty.key"));
}
