//! Where a tenant's Fluent is, and who Rolecall is there.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use runtime::config::Secret;

/// The root of a Fluent account's API, for example `https://acme.sandbox.api.fluentretail.com`.
///
/// `https`, or `http` to this machine alone: a password never crosses a network in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct RootUrl(String);

/// A text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL must be https://HOST[:PORT][/PATH], or http:// to this machine alone, without user, query or fragment"
)]
pub struct InvalidRootUrl;

impl FromStr for RootUrl {
    type Err = InvalidRootUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRootUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidRootUrl)?;
        let authority = uri.authority().ok_or(InvalidRootUrl)?;
        let safe = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]"),
            _ => false,
        };
        if !safe || authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            return Err(InvalidRootUrl);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl RootUrl {
    /// The address of an endpoint below the root; `path` begins with a slash.
    pub(crate) fn join(&self, path: &'static str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RootUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Everything needed to sign in to one Fluent account.
#[derive(Clone, Debug)]
pub struct Access {
    /// The API's root.
    pub url: RootUrl,
    /// The account's id, sent as `fluent.account`.
    pub account: String,
    /// The OAuth client; in practice the account's id.
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: Secret,
    /// The user Rolecall signs in as. It is protected: Rolecall never pushes to it.
    pub username: String,
    /// That user's password.
    pub password: Secret,
}

#[cfg(test)]
mod tests {
    use super::RootUrl;

    #[test]
    fn a_password_is_never_sent_in_the_clear_across_a_network() {
        for good in
            ["https://acme.api.fluentretail.com/", "http://127.0.0.1:8090", "http://localhost:1/x", "http://[::1]:2"]
        {
            assert!(good.parse::<RootUrl>().is_ok(), "{good}");
        }
        for bad in [
            "http://acme.api.fluentretail.com",
            "http://127.0.0.1.example.com",
            "https://me:pw@acme.example",
            "https://acme.example/?a=b",
            "ftp://acme.example",
            "acme.example",
            "/path",
            "",
        ] {
            assert!(bad.parse::<RootUrl>().is_err(), "{bad}");
        }
        assert_eq!("https://a.b/".parse::<RootUrl>().unwrap().join("/graphql"), "https://a.b/graphql");
    }
}
