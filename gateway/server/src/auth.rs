//! Authentication: one bearer token in the `Authorization` header (RFC 6750 section 2.1), and nothing else.
//!
//! Every refusal is the same 401, so nothing can be learned about tokens by presenting wrong ones. Junk is told by its
//! checksum and never reaches identity-store. What identity-store said of a token is used again for a few seconds, so a
//! revoked token is good for no longer than that.

use std::time::Duration;

use domain::token::{BearerToken, FixedToken, Pepper, TokenId};
use http::header::AUTHORIZATION;
use http::request::Parts;
use runtime::error::{Error, Reason};
use uuid::Uuid;

use crate::cache::Cache;
use crate::convert::Credential;
use crate::scim_error::Refusal;
use crate::upstream::Upstream;

/// Names a token in the cache without holding its secret.
type Key = (TokenId, [u8; 32]);

/// Checks tokens.
#[derive(Debug)]
pub(crate) struct Authenticator {
    upstream: Upstream,
    /// Of this process alone, so that what the cache holds means nothing elsewhere.
    pepper: Pepper,
    known: Cache<Key, Credential>,
    fixed: Option<FixedToken>,
}

impl Authenticator {
    pub(crate) fn new(upstream: Upstream, keep: Duration, fixed: Option<FixedToken>) -> Self {
        let pepper = Pepper::derive(&[*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat());
        Self { upstream, pepper, known: Cache::new(keep), fixed }
    }

    /// What the request's token is good for. Refused with 401, or with 503 if nobody can say.
    pub(crate) async fn check(&self, request: &Parts) -> Result<Credential, Refusal> {
        let text = presented(request).ok_or_else(Refusal::unauthorized)?;
        if let Some(tenant) = self.fixed.as_ref().and_then(|fixed| fixed.opens(text)) {
            return Ok(Credential { tenant: tenant.clone(), token_id: "fixed".to_owned(), scim: true });
        }
        let token: BearerToken = text.parse().map_err(|_| Refusal::unauthorized())?;
        let key = (token.id().clone(), *token.hash(&self.pepper).as_bytes());
        let ask = || {
            let upstream = self.upstream.clone();
            async move { upstream.verify_token(token.expose()).await }
        };
        // Only good tokens are kept: bad ones, of which anybody can make as many as they like, push nobody out.
        match self.known.get(&key, ask).await {
            Ok(credential) if credential.scim => Ok(credential),
            Err(error) if !is_refused(&error) => Err(error.into()),
            Ok(_) | Err(_) => Err(Refusal::unauthorized()),
        }
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(error.reason(), Reason::TOKEN_INVALID | Reason::TOKEN_NOT_FOUND | Reason::TENANT_NOT_FOUND)
}

/// The one token a request presents. A token in the URI is refused, for URIs are logged (RFC 6750 section 5.3).
fn presented(request: &Parts) -> Option<&str> {
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let header = headers.next().filter(|_| headers.next().is_none())?;
    let query = request.uri.query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("access_token")) {
        return None;
    }
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Some(token.trim())
}
