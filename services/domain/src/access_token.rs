//! Access tokens: what a client of OAuth 2.0 gets for its secret (RFC 6749 section 4.4), good for an hour or so.
//!
//! `rla_<parent>_<end>_<scopes>_<mac>_<crc>`: nothing of it is stored. It names the bearer token it was got with, when it
//! ends and what for, under a MAC that only identity-store can make; with its parent it ends. The checksum lets junk be
//! refused before anybody is asked, as a bearer token's does.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::token::{BearerToken, InvalidToken, Pepper, Peppers, TokenHash, TokenId, checksum};

const PREFIX: &str = "rla";
const MAC: usize = 64;

/// What a token's holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Speak SCIM.
    Scim,
    /// Read over SCIM.
    ScimRead,
    /// Ask role-resolver who may do what.
    RolesRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Scim, Self::ScimRead, Self::RolesRead];

    /// Its name in the contracts and in OAuth 2.0.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::ScimRead => "scim:read",
            Self::RolesRead => "roles:read",
        }
    }

    /// The scope of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Whether one who has it may do what `wanted` allows.
    #[must_use]
    pub fn covers(self, wanted: Self) -> bool {
        self == wanted || (self, wanted) == (Self::Scim, Self::ScimRead)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Scim => 1,
            Self::RolesRead => 2,
            Self::ScimRead => 4,
        }
    }
}

/// A token as somebody presents it.
#[derive(Clone, Debug)]
pub enum Presented {
    /// One that an operator issued.
    Issued(BearerToken),
    /// One that was got with such a token.
    Access(AccessToken),
}

impl Presented {
    /// The public id of the token that was issued.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        match self {
            Self::Issued(token) => token.id(),
            Self::Access(token) => token.parent(),
        }
    }

    /// The whole token.
    #[must_use]
    pub fn expose(&self) -> String {
        match self {
            Self::Issued(token) => token.expose(),
            Self::Access(token) => token.expose(),
        }
    }

    /// A name for it under a pepper, to remember it by without its secret.
    #[must_use]
    pub fn hash(&self, pepper: &Pepper) -> TokenHash {
        match self {
            Self::Issued(token) => token.hash(pepper),
            Self::Access(token) => pepper.tag(&token.expose()),
        }
    }
}

impl FromStr for Presented {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if text.starts_with(PREFIX) { text.parse().map(Self::Access) } else { text.parse().map(Self::Issued) }
    }
}

/// The key that access tokens are made and checked with.
#[derive(Clone)]
pub struct AccessKey([u8; 32]);

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

impl AccessKey {
    /// The key that goes with a pepper.
    #[must_use]
    pub fn derive(pepper: &Pepper) -> Self {
        Self(pepper.subkey("rolecall 2026 access token"))
    }

    /// A token of `tenant` for what `scopes` allow, good until `ends` (in whole seconds) at most as long as `parent`.
    #[must_use]
    pub fn make(&self, tenant: &TenantId, parent: &TokenId, scopes: &[Scope], ends: Timestamp) -> AccessToken {
        let mut token = AccessToken {
            parent: parent.clone(),
            ends: u64::try_from(ends.0 / 1_000_000).unwrap_or(0),
            scopes: scopes.iter().fold(0, |bits, scope| bits | scope.bit()),
            mac: blake3::Hash::from([0; 32]),
        };
        token.mac = self.mac(tenant, &token);
        token
    }

    /// Whether the token was made with this key for this tenant. It takes the same time wherever it differs.
    #[must_use]
    pub fn made(&self, tenant: &TenantId, token: &AccessToken) -> bool {
        self.mac(tenant, token) == token.mac
    }

    fn mac(&self, tenant: &TenantId, token: &AccessToken) -> blake3::Hash {
        // No part holds a space.
        blake3::keyed_hash(&self.0, format!("{} {}", tenant.as_str(), token.body()).as_bytes())
    }
}

/// The keys that go with the pepper in use and with a second one.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    current: AccessKey,
    second: Option<AccessKey>,
}

impl AccessKeys {
    /// The keys that go with these peppers.
    #[must_use]
    pub fn derive(peppers: &Peppers) -> Self {
        let Peppers { current, second } = peppers;
        Self { current: AccessKey::derive(current), second: second.as_ref().map(AccessKey::derive) }
    }

    /// A token as [`AccessKey::make`] makes it, with the key in use.
    #[must_use]
    pub fn make(&self, tenant: &TenantId, parent: &TokenId, scopes: &[Scope], ends: Timestamp) -> AccessToken {
        self.current.make(tenant, parent, scopes, ends)
    }

    /// Whether the token was made with one of them for this tenant.
    #[must_use]
    pub fn made(&self, tenant: &TenantId, token: &AccessToken) -> bool {
        let by_current = self.current.made(tenant, token);
        self.second.as_ref().is_some_and(|second| second.made(tenant, token)) || by_current
    }
}

/// An access token. It is a secret, and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    parent: TokenId,
    ends: u64,
    scopes: u8,
    mac: blake3::Hash,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("parent", &self.parent).finish_non_exhaustive()
    }
}

impl AccessToken {
    /// The bearer token it was got with.
    #[must_use]
    pub fn parent(&self) -> &TokenId {
        &self.parent
    }

    /// When it ends.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        Timestamp(i64::try_from(self.ends.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
    }

    /// What it is good for.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.scopes & scope.bit() != 0).collect()
    }

    /// The whole token, for its holder alone.
    #[must_use]
    pub fn expose(&self) -> String {
        let signed = format!("{}_{}", self.body(), self.mac.to_hex());
        format!("{signed}_{}", checksum(&signed))
    }

    fn body(&self) -> String {
        format!("{PREFIX}_{}_{:x}_{:x}", self.parent, self.ends, self.scopes)
    }
}

impl FromStr for AccessToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (signed, crc) = text.rsplit_once('_').ok_or(InvalidToken)?;
        let parts: Vec<_> = signed.splitn(6, '_').collect();
        let [PREFIX, parent, ends, scopes, mac] = parts[..] else { return Err(InvalidToken) };
        if mac.len() != MAC || checksum(signed) != crc {
            return Err(InvalidToken);
        }
        let token = Self {
            parent: parent.parse()?,
            ends: u64::from_str_radix(ends, 16).map_err(|_| InvalidToken)?,
            scopes: u8::from_str_radix(scopes, 16).map_err(|_| InvalidToken)?,
            mac: blake3::Hash::from_hex(mac).map_err(|_| InvalidToken)?,
        };
        // One spelling each: what is cached and logged under a text is one token.
        if token.expose() == text { Ok(token) } else { Err(InvalidToken) }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessKey, AccessToken, Scope};
    use crate::clock::Timestamp;
    use crate::id::TenantId;
    use crate::token::{BearerToken, Pepper};

    fn key(pepper: &[u8]) -> AccessKey {
        AccessKey::derive(&Pepper::derive(pepper))
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn a_token_reads_back_and_is_its_tenants_and_its_keys_alone() {
        let parent = BearerToken::generate();
        let made = key(b"a").make(&tenant("acme"), parent.id(), &[Scope::RolesRead], Timestamp(7_900_000));
        let again: AccessToken = made.expose().parse().unwrap();
        assert_eq!(again, made);
        assert_eq!(
            (again.parent(), again.ends(), again.scopes()),
            (parent.id(), Timestamp(7_000_000), vec![Scope::RolesRead])
        );
        assert!(key(b"a").made(&tenant("acme"), &again));
        assert!(!key(b"b").made(&tenant("acme"), &again) && !key(b"a").made(&tenant("other"), &again));
    }

    #[test]
    fn a_changed_token_is_refused_before_anybody_is_asked_or_has_another_mac() {
        let parent = BearerToken::generate();
        let text = key(b"a").make(&tenant("acme"), parent.id(), &Scope::ALL, Timestamp(1 << 50)).expose();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert!(std::str::from_utf8(&changed).unwrap().parse::<AccessToken>().is_err(), "byte {at}");
        }
        for junk in ["", "rla", "rla_____", &text.to_uppercase(), &text[..text.len() - 1], &format!("{text} ")] {
            assert!(junk.parse::<AccessToken>().is_err());
        }
        let read: AccessToken = text.parse().unwrap();
        let longer = AccessToken { ends: read.ends + 1, ..read.clone() };
        let wider = AccessToken { scopes: read.scopes ^ 1, ..read };
        assert!(!key(b"a").made(&tenant("acme"), &longer) && !key(b"a").made(&tenant("acme"), &wider));
    }

    #[test]
    fn one_who_may_do_everything_may_read() {
        assert!(Scope::Scim.covers(Scope::ScimRead) && !Scope::ScimRead.covers(Scope::Scim));
        assert!(!Scope::Scim.covers(Scope::RolesRead));
        for scope in Scope::ALL {
            assert_eq!(Scope::named(scope.as_str()), Some(scope));
        }
    }
}
