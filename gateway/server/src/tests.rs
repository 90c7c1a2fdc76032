//! Requests through the whole router, against other parts that live in memory.

mod auth;
mod bulk;
mod catalogue;
mod deactivation;
mod discovery;
mod fake;
mod groups;
mod guardrail;
mod hostile;
mod limits;
mod listener;
mod protocol;
mod roles;
mod search;
mod users;
mod wire;
mod within;

use axum::Router;
use axum::body::Body;
use domain::token::BearerToken;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use runtime::telemetry::Metrics;
use serde_json::Value;
use tower::ServiceExt as _;

use self::fake::World;
use crate::{Config, build};

/// The gateway beside its in-memory parts.
#[derive(Clone)]
struct Face {
    router: Router,
    world: World,
    token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Face {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        Self::beside(World::default(), config)
    }

    /// Another gateway over a world, which knows nothing yet of what changed there.
    fn over(world: World) -> Self {
        Self::beside(world, &Config::default())
    }

    fn beside(world: World, config: &Config) -> Self {
        let token = world.token("acme", &["scim"]);
        let app = build(config, world.parts(&Metrics::new()));
        Self { router: app.router(), world, token }
    }

    /// Sends any request.
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request of the tenant's identity provider.
    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/scim/v2{path}"))
            .header("host", "scim.test")
            .header("authorization", format!("Bearer {}", self.token))
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("content-type", "application/scim+json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path).body(Body::empty()).unwrap()).await
    }

    /// The id of a new user with these labels.
    async fn user(&self, user_name: &str, labels: &[&str]) -> String {
        let roles: Vec<_> = labels.iter().map(|label| serde_json::json!({ "value": label })).collect();
        self.user_of(&serde_json::json!({ "userName": user_name, "roles": roles })).await
    }

    /// The id of a new user with this body.
    async fn user_of(&self, body: &Value) -> String {
        let answer = self.call("POST", "/Users", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a SCIM error of that status and `scimType`.
    #[track_caller]
    fn is_error(&self, status: u16, scim_type: Option<&str>) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
        assert_eq!(self.body["status"], status.to_string());
        assert_eq!(self.body.get("scimType").and_then(Value::as_str), scim_type, "{self:?}");
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        assert_eq!(self.header("content-type"), "application/scim+json; charset=utf-8");
    }
}

/// Waits, yielding to the other tasks, until something holds.
async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
}

/// A token of the right form that nobody issued.
fn stranger() -> String {
    BearerToken::generate().expose()
}
