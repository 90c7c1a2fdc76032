//! The access token: fetched once however many calls want it, used until shortly before it expires, and not fetched
//! again and again when Fluent will not have us.
//!
//! Two things are limited, for two reasons. Passwords that are refused get an account locked: of those there are a few a
//! minute, and then no sign-in at all. Sign-ins beyond that, as of tokens that are refused or live shortly, only cost: a
//! few may come at once, and then they are spaced, and waited for. One that never reached Fluent counts for neither.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::clock::{Clock, Timestamp};
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::access::Access;
use super::error::{Cause, Error};
use super::http::Http;
use super::retry_after::retry_after;

/// A token is not used in the last minute of its life: a call must not outlive it.
const BUFFER: Duration = Duration::from_mins(1);
/// No lifetime longer than this is believed. One that is not told is taken for this: the token is used until it is refused.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// How many passwords may be refused in one [`WINDOW`].
const MAX_REFUSED: usize = 3;
/// How many sign-ins there may be in one [`WINDOW`] without waiting.
const AT_ONCE: usize = 3;
/// How far apart those beyond them are.
pub(super) const PACE: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_mins(1);
const MAX_ANSWER: usize = 64 * 1024;

/// Where the calls of one tenant get their token.
#[derive(Debug)]
pub(crate) struct Tokens {
    access: Arc<Access>,
    http: Http,
    clock: Clock,
    /// Held while signing in, so that all who want a token wait for the one sign-in.
    state: Mutex<State>,
    /// How many sign-ins have failed: who waited for one that did shares its error.
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    refresh: Option<SecretString>,
    /// When passwords were refused, since the last that was not.
    refused: VecDeque<Timestamp>,
    /// When the last [`AT_ONCE`] sign-ins were begun that reached Fluent.
    begun: VecDeque<Timestamp>,
    /// How the last sign-in that failed did.
    failure: Option<Error>,
}

/// A bearer token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    text: Arc<SecretString>,
    good_until: Timestamp,
}

impl Token {
    /// The text that goes into the `Authorization` header.
    pub(crate) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// What the token endpoint answers; what it says beside this is of no use.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    #[serde(default)]
    expires_in: serde_json::Value,
    #[serde(default)]
    refresh_token: Option<SecretString>,
}

impl Tokens {
    pub(crate) fn new(access: Arc<Access>, http: Http, clock: Clock) -> Self {
        Self { access, http, clock, state: Mutex::default(), failures: AtomicU64::new(0) }
    }

    /// A token that is good for the next minute.
    pub(crate) async fn get(&self) -> Result<Token, Error> {
        let known = self.failures.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| token.good_until > self.clock.now()) {
            return Ok(token.clone());
        }
        if let Some(error) = state.failure.as_ref().filter(|_| self.failures.load(Ordering::Acquire) != known) {
            return Err(error.clone());
        }
        let result = self.sign_in(&mut state).await;
        if let Err(error) = &result {
            state.failure = Some(error.clone());
            self.failures.fetch_add(1, Ordering::Release);
        }
        result
    }

    /// Fluent did not accept this token: it is not used again. Another one that came since is kept.
    pub(crate) async fn refused(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|current| Arc::ptr_eq(&current.text, &token.text)) {
            state.token = None;
        }
    }

    /// Signs in as soon as it may. An answer that makes no sense is a sign-in that failed, not one account's trouble.
    async fn sign_in(&self, state: &mut State) -> Result<Token, Error> {
        state.token = None;
        let now = self.clock.now();
        let is_recent = |at: &Timestamp| *at <= now && now.since(*at) < WINDOW;
        state.refused.retain(is_recent);
        if let Some(first) = state.refused.front().filter(|_| state.refused.len() >= MAX_REFUSED) {
            return Err(Error::Retry { after: Some(first.plus(WINDOW).since(now)), cause: Cause::SignInLimit });
        }
        state.begun.retain(is_recent);
        if let Some(last) = state.begun.back().filter(|_| state.begun.len() >= AT_ONCE) {
            tokio::time::sleep(last.plus(PACE).since(now)).await;
            state.begun.pop_front();
        }
        state.begun.push_back(self.clock.now());
        match self.exchange(state).await {
            Err(Error::Retry { after, cause: Cause::Connect }) => {
                state.begun.pop_back();
                Err(Error::Retry { after, cause: Cause::Connect })
            }
            Err(Error::Retry { after, cause: Cause::Malformed | Cause::TooLarge }) => {
                Err(Error::Retry { after, cause: Cause::SignIn })
            }
            other => other,
        }
    }

    /// With the refresh token if there is one (it can be used once), else, or if that is refused, with the password.
    async fn exchange(&self, state: &mut State) -> Result<Token, Error> {
        let Access { url: _, account: _, client_id, client_secret, username, password } = &*self.access;
        let client = [("client_id", client_id.as_str()), ("client_secret", client_secret.expose())];
        if let Some(refresh) = state.refresh.take() {
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
            match self.ask(state, form.into_iter().chain(client)).await {
                Err(Error::Retry { cause: Cause::SignIn, .. }) => {}
                other => return other,
            }
        }
        let form = [
            ("grant_type", "password"),
            ("scope", "api"),
            ("username", username.as_str()),
            ("password", password.expose()),
        ];
        let result = self.ask(state, form.into_iter().chain(client)).await;
        match &result {
            Ok(_) => state.refused.clear(),
            Err(Error::Retry { cause: Cause::SignIn, .. }) => state.refused.push_back(self.clock.now()),
            Err(_) => {}
        }
        result
    }

    async fn ask<'a>(&self, state: &mut State, form: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Token, Error> {
        let now = self.clock.now();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.access.url.join("/oauth/token"))
            .header("fluent.account", &self.access.account)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| retry(Cause::SignIn))?;
        let answer = self.http.send(request, MAX_ANSWER).await.map_err(retry)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(retry(Cause::SignIn));
            }
            status => {
                let after = retry_after(&answer.headers, now);
                let throttled = status == StatusCode::TOO_MANY_REQUESTS || after.is_some();
                let cause = if throttled { Cause::Throttled } else { Cause::Status(status.as_u16()) };
                return Err(Error::Retry { after, cause });
            }
        }
        let granted: Granted = serde_json::from_slice(&answer.body).map_err(|_| retry(Cause::Malformed))?;
        let text = granted.access_token;
        if text.expose_secret().is_empty() || !text.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(retry(Cause::Malformed));
        }
        let token = Token { text: Arc::new(text), good_until: now.plus(useful_life(&granted.expires_in)) };
        state.refresh = granted.refresh_token;
        state.token = Some(token.clone());
        Ok(token)
    }
}

fn retry(cause: Cause) -> Error {
    Error::Retry { after: None, cause }
}

/// How long a token is used. One that lives so shortly that the buffer would eat it is used for half its life. None at
/// all, or what can't be read, says nothing of it.
fn useful_life(expires_in: &serde_json::Value) -> Duration {
    let seconds = match expires_in {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let told = seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let life = told.unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
    life.saturating_sub(BUFFER).max(life / 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::useful_life;

    #[test]
    fn a_life_is_believed_within_reason_and_one_that_is_not_told_is_no_short_one() {
        let life = |value| useful_life(&value).as_secs();
        assert_eq!(life(json!(3600)), 3540);
        assert_eq!(life(json!("3600")), 3540);
        assert_eq!(life(json!(30)), 15);
        assert_eq!(life(json!(2)), 1);
        let longest = 24 * 3600 - 60;
        assert_eq!(life(json!(u64::MAX)), longest);
        for odd in [json!(-1), json!(0), json!(null), json!("soon"), json!({}), json!(1.5)] {
            assert_eq!(life(odd), longest);
        }
    }
}
