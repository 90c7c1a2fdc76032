//! Answers: always SCIM's media type, never to be kept by anybody in between.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};

/// The media type of every body (RFC 7644 section 8.1).
const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json; charset=utf-8");

/// The header that proves how fresh an answer is, and that later reads may present.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("rolecall-revision");

/// Which preferences of the client the answer honours (RFC 7240 section 3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = empty(status);
    *response.body_mut() = Body::from(body.into());
    response.headers_mut().insert(CONTENT_TYPE, SCIM_JSON);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The headers of answers about stored things.
pub(crate) trait Headers: Sized {
    /// With the token that proves the answer's freshness.
    fn revision(self, token: &str) -> Self;
    /// With the entity tag of the resource.
    fn etag(self, tag: &str) -> Self;
    /// With the resource's URI.
    fn location(self, uri: &str) -> Self;
    /// With the word that the client's wish for a short answer was followed.
    fn minimal(self) -> Self;
}

impl Headers for Response {
    fn revision(self, token: &str) -> Self {
        set(self, REVISION, token)
    }

    fn etag(self, tag: &str) -> Self {
        set(self, ETAG, tag)
    }

    fn location(self, uri: &str) -> Self {
        set(self, LOCATION, uri)
    }

    fn minimal(self) -> Self {
        set(self, PREFERENCE_APPLIED, "return=minimal")
    }
}

fn set(mut response: Response, name: HeaderName, value: &str) -> Response {
    // What can't stand in a header is left out; none of these values can come from a client.
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        response.headers_mut().insert(name, value);
    }
    response
}
