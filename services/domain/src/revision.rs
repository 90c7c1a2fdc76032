//! The tenant's change counter and the token that carries it.
//!
//! Every committed change of a tenant takes the next [`Revision`]. The [`Epoch`] names the life of the database the
//! counter counts in: a database restored from a backup begins a new one, so that old revisions can't pass for new.
//! A [`RevisionToken`] carries both to callers and back; it is authenticated, so a caller can't invent one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::cursor::CursorKey;
use crate::id::TenantId;

/// A tenant's change counter. Zero is the empty tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// As the signed integer that databases hold.
    #[must_use]
    pub fn to_db(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From the signed integer that databases hold; negative reads as zero.
    #[must_use]
    pub fn from_db(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or(0))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The life of a database: made with it, renewed when it is restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(Uuid);

impl Epoch {
    /// A new epoch.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default epoch would be a lie: each is new")]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// The 16 bytes that databases and messages hold.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the 16 bytes that databases and messages hold.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

/// A point in a tenant's history: which life of the database, which revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the database.
    pub epoch: Epoch,
    /// The revision in it.
    pub revision: Revision,
}

impl Position {
    /// Whether it is of the same life as another and not before it: who stands here has dealt with the other.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.epoch == other.epoch && self.revision >= other.revision
    }
}

/// Why a revision token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRevisionToken {
    /// It is not a token of this product, or was changed on the way.
    #[error("the revision token is not one of ours; send it exactly as it was received")]
    Forged,
    /// It was given to another tenant, or its tenant's tag was changed.
    #[error("the revision token belongs to another tenant")]
    OtherTenant,
}

/// The key that authenticates revision tokens; the same in every part that makes or reads them.
#[derive(Clone)]
pub struct RevisionKey([u8; 32]);

impl fmt::Debug for RevisionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevisionKey(…)")
    }
}

const VERSION: u8 = 1;
const MAC: usize = 16;
const HEAD: usize = 1 + 16 + 8;

impl RevisionKey {
    /// A key derived from a secret text of the configuration.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(blake3::derive_key("rolecall 2026 revision token", secret))
    }

    /// The key for the cursors of lists, derived from this one.
    #[must_use]
    pub fn cursor_key(&self) -> CursorKey {
        CursorKey::derive(&self.0)
    }

    /// The token for `position` of `tenant`: opaque, printable, safe in a header.
    #[must_use]
    pub fn seal(&self, tenant: &TenantId, position: Position) -> String {
        let mut bytes = Vec::with_capacity(HEAD + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(position.epoch.as_bytes());
        bytes.extend_from_slice(&position.revision.0.to_be_bytes());
        let mac = self.mac(tenant, &bytes);
        bytes.extend_from_slice(&mac);
        // A tag tells a token of another tenant, which deserves a clear answer, from one that was changed.
        bytes.extend_from_slice(&self.tag(tenant));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that was given to `tenant`.
    pub fn open(&self, tenant: &TenantId, token: &str) -> Result<Position, InvalidRevisionToken> {
        let forged = InvalidRevisionToken::Forged;
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| forged)?;
        if bytes.len() != HEAD + MAC + MAC || bytes[0] != VERSION {
            return Err(forged);
        }
        let (head, rest) = bytes.split_at(HEAD);
        let (mac, tag) = rest.split_at(MAC);
        if blake3::Hash::from(widen(tag)) != blake3::Hash::from(widen(&self.tag(tenant))) {
            return Err(InvalidRevisionToken::OtherTenant);
        }
        if blake3::Hash::from(widen(mac)) != blake3::Hash::from(widen(&self.mac(tenant, head))) {
            return Err(forged);
        }
        let epoch = Epoch::from_slice(&head[1..17]).ok_or(forged)?;
        let revision = Revision(u64::from_be_bytes(head[17..25].try_into().map_err(|_| forged)?));
        Ok(Position { epoch, revision })
    }

    fn mac(&self, tenant: &TenantId, head: &[u8]) -> [u8; MAC] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"position").update(head).update(tenant.as_str().as_bytes());
        shorten(&hasher.finalize())
    }

    fn tag(&self, tenant: &TenantId) -> [u8; MAC] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"tenant").update(tenant.as_str().as_bytes());
        shorten(&hasher.finalize())
    }
}

fn shorten(hash: &blake3::Hash) -> [u8; MAC] {
    let mut short = [0; MAC];
    short.copy_from_slice(&hash.as_bytes()[..MAC]);
    short
}

/// `blake3::Hash` compares in constant time; a shortened one is padded to borrow that.
fn widen(short: &[u8]) -> [u8; 32] {
    let mut wide = [0; 32];
    wide[..short.len()].copy_from_slice(short);
    wide
}

#[cfg(test)]
mod tests {
    use super::{Epoch, InvalidRevisionToken, Position, Revision, RevisionKey};

    #[test]
    fn a_token_opens_for_its_tenant_alone() {
        let key = RevisionKey::derive(b"one secret");
        let acme = "acme".parse().unwrap();
        let position = Position { epoch: Epoch::new(), revision: Revision(42) };
        let token = key.seal(&acme, position);
        assert_eq!(key.open(&acme, &token), Ok(position));
        assert_eq!(key.open(&"other".parse().unwrap(), &token), Err(InvalidRevisionToken::OtherTenant));
        assert!(RevisionKey::derive(b"another").open(&acme, &token).is_err());
    }

    #[test]
    fn a_changed_token_is_refused() {
        let key = RevisionKey::derive(b"one secret");
        let acme = "acme".parse().unwrap();
        let token = key.seal(&acme, Position { epoch: Epoch::new(), revision: Revision(42) });
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(key.open(&acme, std::str::from_utf8(&changed).unwrap()).is_err(), "byte {at}");
        }
        for junk in ["", "x", "ü", &token[1..], &"A".repeat(10_000)] {
            assert_eq!(key.open(&acme, junk), Err(InvalidRevisionToken::Forged));
        }
    }
}
