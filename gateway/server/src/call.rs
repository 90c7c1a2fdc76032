//! One request as a handler sees it: who sent it, what it names, and its body once it is wanted.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_MATCH, IF_NONE_MATCH};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use parking_lot::Mutex;
use scim::etag::Conditions;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::admission::{Admission, Turn};
use crate::caller::Caller;
use crate::scim_error::Refusal;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What the layer around all routes found out about a request, in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    /// Who sent it.
    pub(crate) caller: Caller,
    /// When it must be answered.
    pub(crate) deadline: Instant,
    /// Its turn.
    pub(crate) slot: Slot,
}

/// A request's turn, which it can lay down while it waits for something that takes long.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Option<Turn>>>);

impl Slot {
    pub(crate) fn new(turn: Turn) -> Self {
        Self(Arc::new(Mutex::new(Some(turn))))
    }

    /// Waits for `what` without a turn, so that what must not wait can go on.
    pub(crate) async fn aside<T>(
        &self,
        admission: &Admission,
        caller: &Caller,
        what: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        drop(self.0.lock().take());
        let result = what.await;
        self.resume(admission, caller).await?;
        Ok(result)
    }

    /// Takes a turn where it has none: who laid it down may have been refused one afterwards.
    pub(crate) async fn resume(&self, admission: &Admission, caller: &Caller) -> Result<(), Refusal> {
        if self.0.lock().is_none() {
            let turn = admission.turn(&caller.tenant).await?;
            *self.0.lock() = Some(turn);
        }
        Ok(())
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who sent it.
    pub(crate) caller: Caller,
    /// Its turn.
    pub(crate) slot: Slot,
    /// Its method.
    pub(crate) method: Method,
    /// What the path names; empty where it names nothing.
    pub(crate) id: String,
    uri: Uri,
    headers: HeaderMap,
    /// Whether it is an operation of a bulk request, whose answer is read for its headers alone.
    pub(crate) is_part: bool,
    deadline: Instant,
    /// In a lock only because a body cannot be shared between threads, and a call can.
    body: Mutex<Body>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        // A path that is not UTF-8 names nothing that exists.
        let params = RawPathParams::from_request_parts(&mut parts, state).await.ok();
        let id = params.as_ref().and_then(|params| params.iter().next()).map(|(_, id)| id.to_owned());
        let Admitted { caller, deadline, slot } =
            parts.extensions.remove::<Admitted>().ok_or_else(Refusal::unauthorized)?;
        let id = id.unwrap_or_default();
        let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
        let body = Mutex::new(body);
        Ok(Self { caller, slot, method, id, uri, headers, is_part: false, deadline, body })
    }
}

impl Call {
    /// The query, percent-encoded as it came.
    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// One operation of this request as a call of its own: on behalf of the same caller, in the same turn and time.
    /// Refused with 400 for a version that could stand in no header.
    pub(crate) fn part(&self, method: Method, id: String, version: Option<&str>, body: Bytes) -> Result<Self, Refusal> {
        let mut headers = HeaderMap::new();
        headers.extend(self.headers.get(HOST).map(|host| (HOST, host.clone())));
        if let Some(version) = version {
            let version = HeaderValue::from_str(version)
                .map_err(|_| scim::Error::invalid_value("version must be an entity tag"))?;
            headers.insert(IF_MATCH, version);
        }
        let mut uri = self.uri.clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static("/"));
        Ok(Self {
            caller: self.caller.clone(),
            slot: self.slot.clone(),
            method,
            id,
            uri: Uri::from_parts(uri).unwrap_or_default(),
            headers,
            is_part: true,
            deadline: self.deadline,
            body: Mutex::new(Body::from(body)),
        })
    }

    /// Reads the body, once. Refused: 415 for a media type or encoding that is not read here, 413 beyond `limit`, 408 if
    /// it does not come.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        self.check_media_type()?;
        let too_large = || scim::Error::too_large(format!("the body is larger than {limit} bytes"));
        let announced = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large().into());
        }
        let body = std::mem::replace(self.body.get_mut(), Body::empty());
        match tokio::time::timeout_at(self.deadline, Limited::new(body, limit).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large().into()),
            Ok(Err(_)) => Err(scim::Error::invalid_syntax("the body ended before its end").into()),
            Err(_) => Err(scim::Error::new(408, "the body did not arrive in time").into()),
        }
    }

    fn check_media_type(&self) -> Result<(), Refusal> {
        let encoded = self.headers.get_all(CONTENT_ENCODING).iter();
        if encoded.into_iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let refusal = Refusal::from(scim::Error::new(415, "the body must be sent without Content-Encoding"));
            return Err(refusal.with(ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        }
        let Some(media_type) = self.headers.get(CONTENT_TYPE) else { return Ok(()) };
        if media_type.to_str().is_ok_and(is_json) {
            return Ok(());
        }
        Err(scim::Error::new(415, "the body must be application/scim+json or application/json, in UTF-8").into())
    }

    /// What a write depends on.
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions { if_match: self.joined(&IF_MATCH), if_none_match: self.joined(&IF_NONE_MATCH) }
    }

    /// The `Prefer` header, its lines joined.
    pub(crate) fn prefer(&self) -> Option<String> {
        self.joined(&PREFER)
    }

    fn joined(&self, name: &HeaderName) -> Option<String> {
        let lines: Vec<_> = self.headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// The host the client believes it talks to; it only ever goes back to that client.
    pub(crate) fn host(&self) -> Option<&str> {
        host(&self.uri, &self.headers)
    }

    /// How much time is left.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The host a client believes it talks to; it must only ever go back to that client.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(Authority::as_str).or(named)?;
    host.parse::<Authority>().is_ok().then_some(host)
}

/// Whether a `Content-Type` is one of the two that are read.
fn is_json(text: &str) -> bool {
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known = ["application/scim+json", "application/json"].iter().any(|known| known.eq_ignore_ascii_case(essence));
    let utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    known && parts.all(utf8)
}

/// A body as a JSON object, within the limits of the protocol.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    Ok(scim::json::read_object(body, &scim::json::Limits::default())?)
}

/// The same, with texts as long as the body can hold.
pub(crate) fn object_of_any_text(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let limits = scim::json::Limits { text: body.len(), ..scim::json::Limits::default() };
    Ok(scim::json::read_object(body, &limits)?)
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn both_media_types_are_read_in_utf_8_alone() {
        for good in
            ["application/scim+json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\"; a=b"]
        {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/plain", "application/xml", "application/json; charset=latin1", "application/jsonx"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
