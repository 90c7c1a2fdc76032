//! Bytes on a real listener that a careful client would not send: none reaches a route or a tenant it does not name.

use runtime::telemetry::Metrics;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::fake::World;
use crate::{Config, build};

/// A gateway on a port of its own.
struct Listening {
    world: World,
    token: String,
    address: std::net::SocketAddr,
    _until: tokio_util::sync::DropGuard,
}

impl Listening {
    async fn new() -> Self {
        let world = World::default();
        let token = world.token("acme", &["scim"]);
        let app = build(&Config::default(), world.parts(&Metrics::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(app.run(listener, shutdown.clone()));
        Self { world, token, address, _until: shutdown.drop_guard() }
    }

    /// Sends bytes, says that there are no more, and reads until the server closes.
    async fn send(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A server that closes on what it did not read resets the connection: what it said before counts.
        let _closed = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request with a good token.
    fn request(&self, line: &str, headers: &str, body: &str) -> String {
        format!("{line} HTTP/1.1\r\nhost: scim.test\r\nauthorization: Bearer {}\r\n{headers}\r\n{body}", self.token)
    }

    /// The statuses of the answers.
    async fn statuses(&self, bytes: &str) -> Vec<u16> {
        let answer = self.send(bytes).await;
        answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
    }
}

/// B10: smuggling, folded headers, broken chunks.
#[tokio::test]
async fn a_request_within_a_request_is_never_answered() {
    let it = Listening::new().await;
    let hidden = it.request("GET /scim/v2/Users", "", "");
    let chunked = format!("0\r\n\r\n{hidden}");
    let both = |headers: &str, body: &str| it.request("POST /scim/v2/Users", headers, body);
    for (why, bytes) in [
        (
            "a length and chunks",
            both(&format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len()), &chunked),
        ),
        ("chunks and a length", both("transfer-encoding: chunked\r\ncontent-length: 5\r\n", &chunked)),
        ("chunks that are none", both("transfer-encoding: identity, chunkedx\r\n", &chunked)),
        ("two lengths", both("content-length: 2\r\ncontent-length: 60\r\n", &format!("{{}}{hidden}"))),
        ("a length that is none", both("content-length: +2\r\n", &format!("{{}}{hidden}"))),
        ("a size of a chunk that is none", both("transfer-encoding: chunked\r\n", &format!("zz\r\n{{}}\r\n{chunked}"))),
        ("a folded header", both("x-a: b\r\n content-length: 2\r\n", &hidden)),
        ("a space before the colon", both("content-length : 2\r\n", &format!("{{}}{hidden}"))),
    ] {
        let statuses = it.statuses(&bytes).await;
        assert!(statuses.len() <= 1, "{why}: {statuses:?}");
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{why}: {statuses:?}");
        assert_eq!(it.world.count("ListUsers"), 0, "{why}");
    }
    let plain = format!("{hidden}{hidden}");
    assert_eq!(it.statuses(&plain).await, [200, 200], "what is sent as two requests is two");
}

/// B10: doubled slashes, dots and percent signs.
#[tokio::test]
async fn no_spelling_of_a_path_names_another_route() {
    let it = Listening::new().await;
    for path in [
        "//scim//v2/Users",
        "/scim/v2//Users",
        "/scim/v2/../v2/Users",
        "/scim/v2/%2e%2e/v2/Users",
        "/scim/v2/./Users",
        "/%73cim/v2/Users",
        "/scim/v2/%55sers",
        "/scim/v2/Users/%2e%2e",
        "/scim/v2/Users/..%2f..%2fGroups",
        "/scim/v2/Users/%252e%252e",
        "/SCIM/v2/Users",
        "/scim/v2/Users;x",
    ] {
        assert_eq!(it.statuses(&it.request(&format!("GET {path}"), "", "")).await, [404], "{path}");
    }
    assert_eq!(it.world.count("ListUsers"), 0);
    let absolute = it.request("GET http://elsewhere.test/scim/v2/Users", "", "");
    assert_eq!(it.statuses(&absolute).await, [200], "a proxy's form of the same request");
}

/// B10: `X-HTTP-Method-Override`, TRACE.
#[tokio::test]
async fn a_method_is_what_the_first_line_says() {
    let it = Listening::new().await;
    let body = json!({"userName": "ann"}).to_string();
    let headers = format!("x-http-method-override: DELETE\r\ncontent-length: {}\r\n", body.len());
    assert_eq!(it.statuses(&it.request("POST /scim/v2/Users?_method=DELETE", &headers, &body)).await, [201]);
    assert_eq!(it.world.users(), 1);
    let trace = it.send(&it.request("TRACE /scim/v2/Users", "", "")).await;
    assert!(trace.starts_with("HTTP/1.1 405") && trace.contains("\r\nallow: "), "{trace}");
    assert!(!trace.contains(&it.token), "nothing is echoed");
    let text = it.request("POST /scim/v2/Users", "content-type: text/plain\r\ncontent-length: 2\r\n", "{}");
    assert_eq!(it.statuses(&text).await, [415]);
    let head = it.send(&it.request("HEAD /scim/v2/ServiceProviderConfig", "", "")).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n") && head.contains("application/scim+json"));
}

#[tokio::test]
async fn a_tenant_is_the_tokens_whatever_else_a_request_names() {
    let it = Listening::new().await;
    let body = json!({"userName": "ann"}).to_string();
    let length = format!("content-length: {}\r\n", body.len());
    assert_eq!(it.statuses(&it.request("POST /scim/v2/Users", &length, &body)).await, [201]);
    let other = it.world.token("other", &["scim"]);
    let named = format!(
        "GET /scim/v2/Users?tenant=acme HTTP/1.1\r\nhost: acme.test\r\nx-tenant: acme\r\nx-forwarded-host: acme\r\n\
         authorization: Bearer {other}\r\n\r\n"
    );
    let answer = it.send(&named).await;
    assert!(answer.contains("\"totalResults\":0"), "{answer}");
}
