//! The access token: fetched once however many calls want it, used until shortly before it expires, and not fetched
//! again and again when Fluent will not have us.

use std::collections::VecDeque;
use std::sync::Arc;
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
/// No lifetime longer than this is believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// How many sign-ins there may be in one [`WINDOW`]: a looping client gets its account locked.
const MAX_SIGN_INS: usize = 3;
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
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    refresh: Option<SecretString>,
    sign_ins: VecDeque<Timestamp>,
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
        Self { access, http, clock, state: Mutex::default() }
    }

    /// A token that is good for the next minute.
    pub(crate) async fn get(&self) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        match &state.token {
            Some(token) if token.good_until > self.clock.now() => Ok(token.clone()),
            _ => self.sign_in(&mut state).await,
        }
    }

    /// Fluent did not accept this token: it is not used again. Another one that came since is kept.
    pub(crate) async fn refused(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|current| Arc::ptr_eq(&current.text, &token.text)) {
            state.token = None;
        }
    }

    /// With the refresh token if there is one (it can be used once), else, or if that fails, with the password.
    async fn sign_in(&self, state: &mut State) -> Result<Token, Error> {
        state.token = None;
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
        self.ask(state, form.into_iter().chain(client)).await
    }

    async fn ask<'a>(&self, state: &mut State, form: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Token, Error> {
        let now = self.clock.now();
        state.sign_ins.retain(|at| now.since(*at) < WINDOW);
        if state.sign_ins.len() >= MAX_SIGN_INS {
            let oldest = state.sign_ins.front().copied().unwrap_or(now);
            return Err(Error::Retry { after: Some(oldest.plus(WINDOW).since(now)), cause: Cause::SignInLimit });
        }
        state.sign_ins.push_back(now);
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

/// How long a token is used. One that lives so shortly that the buffer would eat it is used for half its life.
fn useful_life(expires_in: &serde_json::Value) -> Duration {
    let seconds = match expires_in {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let life = Duration::from_secs(seconds.unwrap_or(0)).min(LONGEST_LIFE);
    life.saturating_sub(BUFFER).max(life / 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::useful_life;

    #[test]
    fn a_life_is_believed_within_reason() {
        let life = |value| useful_life(&value).as_secs();
        assert_eq!(life(json!(3600)), 3540);
        assert_eq!(life(json!("3600")), 3540);
        assert_eq!(life(json!(30)), 15);
        assert_eq!(life(json!(u64::MAX)), 24 * 3600 - 60);
        for odd in [json!(-1), json!(null), json!("soon"), json!({}), json!(1.5)] {
            assert_eq!(life(odd), 0);
        }
    }
}
