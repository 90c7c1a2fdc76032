//! SCIM as an IdP speaks it.

use anyhow::Result;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A SCIM client for one tenant.
#[derive(Clone, Debug)]
pub struct Scim {
    base: String,
    token: String,
    client: Client,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; null if there was none.
    pub body: Value,
}

impl Answer {
    /// The resource's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_default()
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The user's state in Fluent, as the read-only extension tells it.
    #[must_use]
    pub fn state(&self) -> &str {
        self.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["state"].as_str().unwrap_or_default()
    }
}

impl Scim {
    /// A client for the SCIM base URL with this bearer token.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        Self { base: base.trim_end_matches('/').into(), token: token.into(), client: Client::new() }
    }

    /// The base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The bearer token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request to a path below the base URL. Headers given here take the place of the usual ones.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        let given = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if !given("authorization") {
            request = request.bearer_auth(&self.token);
        }
        if body.is_some() && !given("content-type") {
            request = request.header("Content-Type", "application/scim+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    /// `POST` of a form, without a token.
    pub async fn form(&self, path: &str, form: &str) -> Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    /// `GET` of a path.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// `POST` to a path.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// `PUT` to a path.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    /// `PATCH` of a path with these operations.
    pub async fn patch(&self, path: &str, operations: &Value) -> Result<Answer> {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.send(Method::PATCH, path, &[], Some(&body)).await
    }

    /// `DELETE` of a path.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Hires somebody: an active user with these labels.
    pub async fn hire(&self, name: &str, labels: &[&str]) -> Result<Answer> {
        self.post("/Users", &person(name, true, labels)).await
    }
}

/// A user as an IdP would send it.
fn person(name: &str, active: bool, labels: &[&str]) -> Value {
    let roles: Vec<Value> = labels.iter().map(|label| json!({"value": label})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "externalId": format!("ext-{name}"),
        "active": active,
        "name": {"givenName": "Pat", "familyName": "Doe"},
        "emails": [{"value": format!("{name}@example.com"), "type": "work", "primary": true}],
        "roles": roles,
    })
}
