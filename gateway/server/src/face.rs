//! What surrounds every route: a request id, a deadline, authentication, rates and turns, and a net for panics. The token
//! endpoint and its metadata have all but authentication.
//!
//! It also surrounds what is no route: without a good token nobody learns which paths exist.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use uuid::Uuid;

use crate::Gateway;
use crate::admission::{Budget, Cost};
use crate::auth::Scheme;
use crate::call::{Admitted, Slot};
use crate::caller::Caller;
use crate::convert::{Credential, Reach};
use crate::scim_error::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers one request of a holder of a good token, whatever happens to it.
pub(crate) async fn surround(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let request_id = request_id(&parts);
    let deadline = Instant::now() + gateway.limits.request_time;
    let id: Arc<str> = request_id.to_str().unwrap_or_default().into();
    let basic = gateway.basic;
    let answer = async move {
        let (Credential { tenant, token_id, reach, expires: _ }, scheme) = gateway.authenticator.check(&parts).await?;
        let cost = cost(&parts);
        if cost == Cost::Write && reach != Reach::Write {
            return Err(Refusal::read_only());
        }
        let budget = gateway.admission.count(&tenant, cost)?;
        if scheme == Scheme::Basic && !gateway.in_development(&tenant).await? {
            return Err(Refusal::unauthorized());
        }
        let slot = Slot::new(gateway.admission.turn(&tenant).await?);
        let caller = Caller { tenant, token_id: token_id.into(), request_id: id };
        parts.extensions.insert(Admitted { caller, deadline, slot: slot.clone() });
        let mut response = next.run(Request::from_parts(parts, body)).await;
        drop(slot);
        for (name, value) in budget.into_iter().flat_map(Budget::headers) {
            // A refusal for another rate says so itself.
            response.headers_mut().entry(name).or_insert(value);
        }
        Ok(response)
    };
    let mut response = shielded(deadline, answer).await;
    if basic && response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"scim\", charset=\"UTF-8\"");
        response.headers_mut().append(WWW_AUTHENTICATE, challenge);
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// Answers one request of anybody, whatever happens to it.
pub(crate) async fn open(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = request_id(&parts);
    let deadline = Instant::now() + gateway.limits.request_time;
    let answer = next.run(Request::from_parts(parts, body)).map(Ok);
    let mut response = shielded(deadline, answer).await;
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// The answer, or that there was none in time, or that it panicked.
async fn shielded(deadline: Instant, answer: impl Future<Output = Result<Response, Refusal>>) -> Response {
    match tokio::time::timeout_at(deadline, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(refusal))) => refusal.into_response(),
        Ok(Err(_)) => {
            tracing::error!("a request panicked");
            let detail = "an internal error occurred; the server's log says more";
            Refusal::from(scim::Error::new(500, detail)).into_response()
        }
        Err(_) => {
            let detail = "the request took too long; whether it took effect is not known";
            Refusal::unavailable(detail, Duration::from_secs(2)).into_response()
        }
    }
}

fn cost(request: &Parts) -> Cost {
    let path = request.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match request.method {
        Method::GET | Method::HEAD => Cost::Read,
        _ if path.trim_end_matches('/').ends_with("/.search") => Cost::Read,
        _ => Cost::Write,
    }
}

/// The client's id for the request, if it is one that can stand in logs and audit as it is; else a new one.
fn request_id(request: &Parts) -> HeaderValue {
    let sound = |id: &&HeaderValue| {
        (1..=128).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(b))
    };
    let given = request.headers.get(REQUEST_ID).filter(sound).cloned();
    given.unwrap_or_else(|| {
        let id = Uuid::now_v7().to_string();
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"))
    })
}
