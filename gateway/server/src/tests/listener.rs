//! The gateway on a real listener, and its configuration.

use runtime::config;
use runtime::telemetry::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::fake::World;
use crate::{Config, build};

#[tokio::test]
async fn it_serves_over_tcp_and_stops_when_told() {
    let world = World::default();
    let token = world.token("acme", &["scim"]);
    let metrics = Metrics::new();
    let app = build(&Config::default(), world.parts(&metrics));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(app.run(listener, shutdown.clone()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = r#"{"userName":"alice"}"#;
    let request = format!(
        "POST /scim/v2/Users?attributes=userName HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/scim+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains(&format!("location: http://{address}/scim/v2/Users/")), "{answer}");

    shutdown.cancel();
    serving.await.unwrap().unwrap();
    let counted = metrics.encode();
    assert!(counted.contains(r#"route="POST /scim/v2/Users",code="201""#), "{counted}");
    assert!(!counted.contains("alice") && !counted.contains("attributes"));
}

#[test]
fn the_configuration_is_checked_whole() {
    let given = [("T_LIMITS__USER_BODY", "0"), ("T_PUBLIC_URL", "ftp://x"), ("T_LIMITS__CACHE_TIME", "1h")];
    let env = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let errors = config::load::<Config>(None, "T_", env).unwrap_err().to_string();
    for key in ["limits.user_body", "public_url", "limits.cache_time", "identity_store.uri"] {
        assert!(errors.contains(key), "{errors}");
    }
    let parts =
        ["T_IDENTITY_STORE__URI", "T_ROLE_RESOLVER__URI"].map(|name| (name.to_owned(), "http://x:1".to_owned()));
    let sound = config::load::<Config>(None, "T_", parts).unwrap();
    assert_eq!(sound.limits, Config::default().limits);
}
