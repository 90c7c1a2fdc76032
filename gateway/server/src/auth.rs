//! Authentication: one bearer token in the `Authorization` header (RFC 6750 section 2.1), and nothing else; for a tenant in
//! development also such a token as the password of HTTP Basic (RFC 7617), where the process allows it.
//!
//! Every refusal is the same 401, so nothing can be learned about tokens by presenting wrong ones. Junk is told by its
//! checksum and never reaches identity-store. What identity-store said of a token is used again for a few seconds, so a
//! revoked token, and every access token got with it, is good for no longer than that.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use domain::access_token::Presented;
use domain::clock::{Clock, Timestamp};
use domain::token::{FixedToken, Pepper, TokenId};
use http::header::AUTHORIZATION;
use runtime::error::{Error, Reason};
use uuid::Uuid;

use crate::cache::Cache;
use crate::convert::{Credential, Reach};
use crate::oauth::credentials;
use crate::scim_error::Refusal;
use crate::strangers::Strangers;
use crate::upstream::Upstream;

/// Names a token in the cache without holding its secret.
type Key = (TokenId, [u8; 32]);

/// How a token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// As a bearer token.
    Bearer,
    /// As the password of HTTP Basic; the user's name says nothing.
    Basic,
}

/// What an authenticator is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) upstream: Upstream,
    /// How long an answer about a token is used again.
    pub(crate) keep: Duration,
    pub(crate) fixed: Option<FixedToken>,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) clock: Clock,
    /// Whether HTTP Basic is heard at all.
    pub(crate) basic: bool,
}

/// Checks tokens.
#[derive(Debug)]
pub(crate) struct Authenticator {
    parts: Parts,
    /// Of this process alone, so that what the cache holds means nothing elsewhere.
    pepper: Pepper,
    known: Cache<Key, Credential>,
}

impl Authenticator {
    pub(crate) fn new(parts: Parts) -> Self {
        let pepper = Pepper::derive(&[*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat());
        Self { pepper, known: Cache::new(parts.keep), parts }
    }

    /// What the request's token is good for. Refused with 401, with 503 if nobody can say, with 429 if too many nobody
    /// knows want to be looked at.
    pub(crate) async fn check(&self, request: &http::request::Parts) -> Result<(Credential, Scheme), Refusal> {
        let (text, scheme) = presented(request, self.parts.basic).ok_or_else(Refusal::unauthorized)?;
        if let Some(tenant) = self.parts.fixed.as_ref().and_then(|fixed| fixed.opens(&text)) {
            let (token_id, expires) = ("fixed".to_owned(), Timestamp(i64::MAX));
            return Ok((Credential { tenant: tenant.clone(), token_id, reach: Reach::Write, expires }, scheme));
        }
        let token: Presented = text.parse().map_err(|_| Refusal::unauthorized())?;
        let key = (token.id().clone(), *token.hash(&self.pepper).as_bytes());
        let ask = || {
            let (upstream, strangers) = (self.parts.upstream.clone(), Arc::clone(&self.parts.strangers));
            async move {
                strangers.admit(token.id())?;
                let answer = upstream.verify_token(token.expose()).await;
                match &answer {
                    Ok(_) => strangers.welcome(token.id()),
                    Err(error) if is_refused(error) => strangers.refused(),
                    Err(_) => {}
                }
                answer
            }
        };
        // Only good tokens are kept: bad ones, of which anybody can make as many as they like, push nobody out.
        match self.known.get(&key, ask).await {
            Ok(known) if known.reach != Reach::Nothing && self.parts.clock.now() < known.expires => Ok((known, scheme)),
            Err(error) if !is_refused(&error) => Err(error.into()),
            Ok(_) | Err(_) => Err(Refusal::unauthorized()),
        }
    }
}

/// Whether it says that a token is not good.
pub(crate) fn is_refused(error: &Error) -> bool {
    matches!(error.reason(), Reason::TOKEN_INVALID | Reason::TOKEN_NOT_FOUND | Reason::TENANT_NOT_FOUND)
}

/// The one token a request presents. A token in the URI is refused, for URIs are logged (RFC 6750 section 5.3).
fn presented(request: &http::request::Parts, basic: bool) -> Option<(Cow<'_, str>, Scheme)> {
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let header = headers.next().filter(|_| headers.next().is_none())?;
    let query = request.uri.query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("access_token")) {
        return None;
    }
    let line = header.to_str().ok()?;
    let (scheme, token) = line.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((token.trim_start_matches(' ').into(), Scheme::Bearer));
    }
    let (_, password) = credentials(line).filter(|_| basic)?;
    Some((password.into(), Scheme::Basic))
}
