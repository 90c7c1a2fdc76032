//! Calls between parts over TLS: with the authority they trust they pass, without it nothing does.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runtime::config::{Problems, Validate};
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

/// What is said of TLS files, by key, without what is in them.
fn problems(of: &impl Validate) -> Vec<(String, String)> {
    let mut problems = Problems::default();
    of.validate(&mut problems);
    problems.into_iter().map(|problem| (problem.key, problem.wrong)).collect()
}

#[test]
fn files_that_cannot_be_used_are_all_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (ca_file, ours) = certify(folder.path(), "ours");
    let (_, theirs) = certify(folder.path(), "theirs");
    let client = |ca_file: PathBuf| ClientTls { ca_file, server_name: None };
    assert_eq!(problems(&ours), []);
    assert_eq!(problems(&client(ca_file)), []);

    let nowhere = folder.path().join("nowhere");
    let missing = ServerTls { certificate_file: nowhere.clone(), key_file: nowhere.clone() };
    let found = [problems(&missing), problems(&client(nowhere))].concat();
    assert_eq!(
        found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["certificate_file", "key_file", "ca_file"]
    );
    assert!(found.iter().all(|(_, wrong)| wrong.contains("nowhere cannot be read: ")), "{found:?}");

    let torn = write(folder.path(), "torn", "-----BEGIN hunter2");
    let bad = ServerTls { certificate_file: torn.clone(), key_file: torn.clone() };
    let found = [problems(&bad), problems(&client(torn))].concat();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|(_, wrong)| wrong.ends_with("torn holds no usable PEM")), "{found:?}");

    let mixed = ServerTls { certificate_file: ours.certificate_file, key_file: theirs.key_file };
    assert_eq!(problems(&mixed), [(String::new(), "the certificate and its key cannot be used".to_owned())]);
}

#[test]
fn a_file_that_holds_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut tls) = certify(folder.path(), "ours");
    tls.key_file = write(folder.path(), "empty.key", "");
    assert!(tls.load().unwrap_err().to_string().contains("empty.key"));
}
