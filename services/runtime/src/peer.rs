//! Authentication between parts: a shared secret, presented as a bearer token and compared in constant time.
//!
//! A server learns who calls as a [`Caller`] in the request's extensions, and each of its methods decides what that
//! caller may do. A bearer token that is not the peers' secret is passed on: it may be a tenant's.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use crate::config::{Problems, Secret};
use crate::error::{Error, Reason};

/// The fewest bytes a secret between parts may have.
const MIN_SECRET_BYTES: usize = 32;

/// The section `peers`: how parts know each other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerAuth {
    /// The secret all parts share, at least 32 bytes.
    pub secret: Option<Secret>,
    /// The secret before it, still accepted while the parts are changed over.
    pub previous_secret: Option<Secret>,
    /// Whether the secret and all data may travel unencrypted on an address others can reach.
    pub plaintext: Plaintext,
}

/// Whether traffic between machines may be unencrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plaintext {
    /// No: TLS, or loopback only.
    #[default]
    Refused,
    /// Yes: something else encrypts it, such as a service mesh.
    Allowed,
}

impl PeerAuth {
    /// Notes what makes authentication between parts incomplete, by keys of this section.
    ///
    /// `listen` is where this process answers other parts, if it does; `tls` whether it does so encrypted.
    pub fn validate(&self, listen: Option<SocketAddr>, tls: bool, problems: &mut Problems) {
        match &self.secret {
            None => problems.add("secret", "it is missing", "a secret that all parts share"),
            Some(secret) => check_length("secret", secret, problems),
        }
        if let Some(secret) = &self.previous_secret {
            check_length("previous_secret", secret, problems);
        }
        let reachable = listen.is_some_and(|address| !address.ip().is_loopback());
        if reachable && !tls && self.plaintext == Plaintext::Refused {
            problems.add(
                "plaintext",
                "this part listens beyond this machine without TLS",
                "TLS, a loopback address, or \"allowed\" if something else encrypts the traffic",
            );
        }
    }

    /// The secrets themselves; `None` while none is configured.
    #[must_use]
    pub fn secrets(&self) -> Option<PeerSecret> {
        let current = self.secret.as_ref()?.expose();
        Some(PeerSecret {
            current: current.into(),
            previous: self.previous_secret.as_ref().map(|secret| secret.expose().into()),
        })
    }
}

fn check_length(key: &str, secret: &Secret, problems: &mut Problems) {
    problems.require(
        secret.expose().len() >= MIN_SECRET_BYTES && secret.expose().bytes().all(|byte| byte.is_ascii_graphic()),
        key,
        "it is too short, or holds characters that cannot travel in a header",
        format!("at least {MIN_SECRET_BYTES} visible ASCII characters, as `openssl rand -hex 32` prints them"),
    );
}

/// What proves that a caller is a part of Rolecall.
#[derive(Clone)]
pub struct PeerSecret {
    current: SecretString,
    previous: Option<SecretString>,
}

impl PeerSecret {
    /// A secret made by the program itself.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self { current: secret.into(), previous: None }
    }

    /// Who the headers prove the caller to be.
    #[must_use]
    pub fn identify(&self, headers: &HeaderMap) -> Caller {
        let Some(token) = bearer(headers) else { return Caller::Anonymous };
        let matches = |secret: &SecretString| secret.expose_secret().as_bytes().ct_eq(token.as_bytes());
        let known = matches(&self.current) | self.previous.as_ref().map_or(Choice::from(0), matches);
        if known.into() { Caller::Peer } else { Caller::Bearer(token.into()) }
    }

    /// The header that a client presents; `None` if the secret cannot stand in a header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.current.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for PeerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSecret(…)")
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1); the scheme's case does not matter.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Who calls, as far as the connection and its headers show.
#[derive(Clone, PartialEq, Eq)]
pub enum Caller {
    /// Another part of Rolecall, in this process or proven by the shared secret.
    Peer,
    /// Someone with a bearer token, which has not been checked.
    Bearer(SensitiveToken),
    /// Someone without a credential.
    Anonymous,
}

impl Caller {
    /// Who sent this request. One that came through none of our servers is anonymous.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Self::Anonymous)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "Peer",
            Self::Bearer(_) => "Bearer(…)",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// A bearer token that has not been checked. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SensitiveToken(Arc<str>);

impl SensitiveToken {
    /// The token itself: for the one place that checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SensitiveToken {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for SensitiveToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SensitiveToken(…)")
    }
}

/// Lets only other parts of Rolecall pass.
pub fn require_peer<T>(request: &tonic::Request<T>) -> Result<(), tonic::Status> {
    match Caller::of(request) {
        Caller::Peer => Ok(()),
        Caller::Bearer(_) => {
            Err(Error::new(Reason::PEER_REQUIRED, "only another part of Rolecall may call this").into())
        }
        Caller::Anonymous => Err(Error::new(Reason::UNAUTHENTICATED, "the call carries no credential").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::try_from(*value).unwrap())).collect()
    }

    #[test]
    fn the_secret_makes_a_peer_and_anything_else_is_passed_on() {
        let secret = PeerSecret { current: SECRET.into(), previous: Some("the-one-before".into()) };
        let identify = |values: &[&str]| secret.identify(&headers(values));
        assert_eq!(identify(&[&format!("Bearer {SECRET}")]), Caller::Peer);
        assert_eq!(identify(&["bearer the-one-before"]), Caller::Peer);
        assert_eq!(identify(&["Bearer rlc_x"]), Caller::Bearer("rlc_x".into()));
        for none in [&[][..], &["Basic eDp5"], &["Bearer "], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(identify(none), Caller::Anonymous, "{none:?}");
        }
    }

    #[test]
    fn nothing_of_a_credential_is_printed() {
        let secret = PeerSecret::new(SECRET);
        let caller = secret.identify(&headers(&["Bearer rlc_x"]));
        assert!(!format!("{secret:?} {caller:?} {:?}", secret.header()).contains("rlc_x"));
        assert!(!format!("{secret:?} {:?}", secret.header()).contains(SECRET));
    }

    #[test]
    fn incomplete_authentication_is_a_mistake_in_the_configuration() {
        let keys = |auth: &PeerAuth, listen: &str, tls| {
            let mut problems = Problems::default();
            auth.validate(Some(listen.parse().unwrap()), tls, &mut problems);
            problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&PeerAuth::default(), "127.0.0.1:1", false), ["secret"]);
        let short = PeerAuth { secret: Some("short".into()), ..PeerAuth::default() };
        assert_eq!(keys(&short, "[::1]:1", false), ["secret"]);
        let good = PeerAuth { secret: Some(SECRET.into()), ..PeerAuth::default() };
        assert!(keys(&good, "127.0.0.1:1", false).is_empty());
        assert_eq!(keys(&good, "0.0.0.0:1", false), ["plaintext"]);
        assert!(keys(&good, "0.0.0.0:1", true).is_empty());
        let meshed = PeerAuth { plaintext: Plaintext::Allowed, ..good };
        assert!(keys(&meshed, "0.0.0.0:1", false).is_empty());
    }

    #[test]
    fn only_peers_pass_where_peers_are_required() {
        let ask = |caller: Option<Caller>| {
            let mut request = tonic::Request::new(());
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            require_peer(&request).map_err(|status| Error::from_status(&status).reason())
        };
        assert_eq!(ask(Some(Caller::Peer)), Ok(()));
        assert_eq!(ask(Some(Caller::Bearer("rlc_x".into()))), Err(Reason::PEER_REQUIRED));
        assert_eq!(ask(Some(Caller::Anonymous)), Err(Reason::UNAUTHENTICATED));
        assert_eq!(ask(None), Err(Reason::UNAUTHENTICATED));
    }
}
