//! OAuth 2.0 for identity providers that want short-lived tokens: the token endpoint for client credentials (RFC 6749
//! section 4.4), and the metadata document that finds it (RFC 8414).
//!
//! A client is an issued token: its public id is the client's id, the whole token its secret. So several secrets are good
//! at once while they are changed over, and revoking one ends every access token got with it. Both endpoints are open to
//! everybody; whoever is refused learns nothing but that.

mod form;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use runtime::error::{Error, Kind, Reason};
use serde_json::{Value, json};

pub(crate) use self::form::credentials;
use self::form::{Client, TokenRequest};
use crate::Gateway;
use crate::auth::is_refused;
use crate::call::host;
use crate::scim_error::whole_seconds;

/// The largest body of a token request, in bytes.
const LARGEST: usize = 8 << 10;
/// The path of the token endpoint.
pub(crate) const TOKEN: &str = "/oauth/token";
/// The path of the metadata document.
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

/// The routes; they need no token.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route(TOKEN, post(token).fallback(not_allowed)).route(METADATA, get(metadata).fallback(not_allowed))
}

/// Why a token request is refused (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Something is missing, twice, or of the wrong form.
    InvalidRequest(&'static str),
    /// The client is none, or its secret is not good: the same for all of them.
    InvalidClient,
    /// Another grant than client credentials.
    UnsupportedGrantType,
    /// A scope that the client has not.
    InvalidScope,
    /// Nobody can say now, or too many strangers ask.
    Later {
        /// Whether it is for the number of requests.
        limited: bool,
        /// When to try again, in seconds.
        seconds: u64,
    },
    /// A fault of ours.
    Broken,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let limited = error.reason() == Reason::RATE_LIMITED;
        let seconds = error.retry_delay().map_or(2, whole_seconds);
        match error.kind() {
            _ if is_refused(&error) => Self::InvalidClient,
            Kind::InvalidArgument => Self::InvalidScope,
            _ if limited => Self::Later { limited, seconds },
            Kind::Unavailable | Kind::DeadlineExceeded | Kind::Aborted | Kind::ResourceExhausted => {
                Self::Later { limited, seconds }
            }
            _ => {
                tracing::warn!(reason = %error.reason(), "no access token can be made");
                Self::Broken
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error, description) = match &self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", *why),
            Self::InvalidClient => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "the client's id or secret is not good")
            }
            Self::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", "the only grant_type is client_credentials")
            }
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", "the client does not have such a scope"),
            Self::Later { limited: true, .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "too many requests; try again later")
            }
            Self::Later { limited: false, .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "no token can be made now; try again later",
            ),
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "an internal error occurred"),
        };
        let mut response = answer(status, &json!({ "error": error, "error_description": description }));
        match self {
            Self::InvalidClient => {
                let challenge = HeaderValue::from_static("Basic realm=\"oauth\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            Self::Later { seconds, .. } => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}

/// `POST /oauth/token`.
async fn token(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    if !form::is_form(&parts.headers) {
        return Err(Refused::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_err(|_| Refused::InvalidRequest("the body is too large, or ended before its end"))?.to_bytes();
    let TokenRequest { client: Client { id, secret }, scopes } = form::read(&parts.headers, &body)?;
    // Junk is told by its checksum, and a secret is good for the client it belongs to alone.
    if secret.id().as_str() != id {
        return Err(Refused::InvalidClient);
    }
    gateway.strangers.admit(secret.id())?;
    let issued = gateway.upstream.issue_access_token(secret.expose(), scopes, gateway.access_token_lifetime).await;
    if issued.as_ref().is_err_and(is_refused) {
        gateway.strangers.refused();
    }
    let issued = issued?;
    gateway.strangers.welcome(secret.id());
    let seconds = issued.expires_at.since(gateway.clock.now()).as_secs();
    Ok(answer(
        StatusCode::OK,
        &json!({
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": issued.scopes.join(" "),
        }),
    ))
}

/// `GET /.well-known/oauth-authorization-server`.
async fn metadata(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let issuer = gateway.origin(host(request.uri(), request.headers()));
    answer(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}{TOKEN}"),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": domain::access_token::Scope::ALL.map(domain::access_token::Scope::as_str),
        }),
    )
}

async fn not_allowed() -> Response {
    let error = json!({ "error": "invalid_request", "error_description": "this endpoint does not have that method" });
    answer(StatusCode::METHOD_NOT_ALLOWED, &error)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
