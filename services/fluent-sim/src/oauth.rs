//! `POST /oauth/token`: who may sign in, and the tokens they get.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::behaviour::Behaviour;
use crate::log::{Kind, Request};
use crate::model::{Id, User};
use crate::world::World;

/// The tokens that were issued. All of them are forgotten when there are too many: clients sign in again.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    access: HashMap<String, Token>,
    refresh: HashMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    user: Id,
    expires: Instant,
}

/// The client that may ask for tokens.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// For whom `client_credentials` speaks.
    pub(crate) user: String,
}

/// The parameters of a token request. Those of the body win over those of the query string.
#[derive(Debug)]
pub(crate) struct Parameters(HashMap<String, String>);

/// An OAuth error (RFC 6749, section 5.2).
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) status: StatusCode,
    error: &'static str,
    description: &'static str,
}

/// More tokens than any honest client needs at a time.
const MOST: usize = 50_000;

// === impl Parameters ===

impl Parameters {
    pub(crate) fn new(uri: &Uri, body: &Bytes) -> Self {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let body = form_urlencoded::parse(body);
        Self(query.chain(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What the log says about this request.
    pub(crate) fn describe(&self, world: &World) -> Request {
        let mut request = Request::new(Kind::Token, self.0.get("grant_type").cloned());
        request.username = self.0.get("username").cloned();
        request.user_id = world.user(self.get("username")).map(|user| user.id);
        request
    }
}

// === impl Denied ===

impl Denied {
    fn new(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), error, description }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"error": self.error, "error_description": self.description})
    }
}

// === impl Tokens ===

impl Tokens {
    /// Answers a token request with the token answer's JSON.
    pub(crate) fn grant(
        &mut self,
        parameters: &Parameters,
        client: &Client,
        world: &World,
        behaviour: &Behaviour,
    ) -> Result<Value, Denied> {
        let Behaviour { invalid_grant_status, .. } = *behaviour;
        let invalid_grant = |description| Denied::new(invalid_grant_status, "invalid_grant", description);
        if (parameters.get("client_id"), parameters.get("client_secret")) != (&client.id, &client.secret) {
            return Err(Denied::new(invalid_grant_status, "invalid_client", "Bad client credentials"));
        }
        if !matches!(parameters.get("scope"), "" | "api") {
            return Err(Denied::new(400, "invalid_scope", "The only scope is api"));
        }
        let user = match parameters.get("grant_type") {
            "password" => world
                .user(parameters.get("username"))
                .filter(|user| !user.password.is_empty() && user.password == parameters.get("password")),
            "refresh_token" if behaviour.refresh_tokens => {
                // Removed before anything else is looked at: a refresh token works once.
                let token = self.refresh.remove(parameters.get("refresh_token"));
                let user = token.filter(Token::is_alive).and_then(|token| world.user_by_id(token.user));
                Some(user.ok_or_else(|| invalid_grant("Invalid refresh token"))?)
            }
            "client_credentials" if behaviour.client_credentials => world.user(&client.user),
            "" => return Err(Denied::new(400, "invalid_request", "Missing grant type")),
            _ => return Err(Denied::new(400, "unsupported_grant_type", "Unsupported grant type")),
        };
        let user = user.filter(|user| user.is_active()).ok_or_else(|| invalid_grant("Bad credentials"))?;
        Ok(self.issue(user, behaviour))
    }

    /// Whose token this is, if it is alive.
    pub(crate) fn owner(&self, token: &str) -> Option<Id> {
        self.access.get(token).filter(|token| token.is_alive()).map(|token| token.user)
    }

    /// Forgets all tokens, as if all had expired.
    pub(crate) fn clear(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    fn issue(&mut self, user: &User, behaviour: &Behaviour) -> Value {
        let access = keep(&mut self.access, user.id, behaviour.token_seconds);
        let mut answer = json!({
            "access_token": access,
            "token_type": "bearer",
            "expires_in": behaviour.token_seconds,
            "scope": "api",
            "Retailer_id": user.primary_retailer.map(|id| id.0),
            "FirstName": user.first_name,
            "LastName": user.last_name,
            "Roles": user.roles.iter().map(|held| held.role.as_str()).collect::<Vec<_>>(),
        });
        if behaviour.refresh_tokens {
            answer["refresh_token"] = Value::from(keep(&mut self.refresh, user.id, behaviour.refresh_token_seconds));
        }
        answer
    }
}

// === impl Token ===

impl Token {
    fn is_alive(&self) -> bool {
        Instant::now() < self.expires
    }
}

fn keep(tokens: &mut HashMap<String, Token>, user: Id, seconds: u64) -> String {
    if tokens.len() >= MOST {
        tokens.retain(|_, token| token.is_alive());
        if tokens.len() >= MOST {
            tokens.clear();
        }
    }
    let token = Uuid::new_v4().to_string();
    let lifetime = Duration::from_secs(seconds.min(10 * 365 * 86_400));
    tokens.insert(token.clone(), Token { user, expires: Instant::now() + lifetime });
    token
}
