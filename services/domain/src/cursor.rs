//! Cursors: where a list was left, in the hands of a client (RFC 9865).
//!
//! A cursor is authenticated and belongs to one list of one tenant: its filter and its order. So what a client sends back
//! is a place this program has named, in the list it has named it in, or nothing. It holds only characters that stand for
//! themselves in a URI, and it grows old.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::id::TenantId;

/// How long a cursor is good for.
pub const LIFETIME: Duration = Duration::from_hours(1);

/// Why a cursor was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCursor {
    /// It is not one of ours, was changed, or is another tenant's or another list's.
    #[error("the cursor is not one of this list; send the last nextCursor as it is, with the same filter and order")]
    Forged,
    /// It was one of ours.
    #[error("the cursor is too old; begin again with an empty one")]
    Expired,
}

/// The key that authenticates cursors; the same in every replica.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

const VERSION: u8 = 1;
const MAC: usize = 16;
const HEAD: usize = 1 + 8;
/// The longest cursor that is looked at, in characters: a place holds a name of two thousand bytes at most.
const LONGEST: usize = 4_000;

impl CursorKey {
    pub(crate) fn derive(key: &[u8; 32]) -> Self {
        Self(blake3::derive_key("rolecall 2026 list cursor", key))
    }

    /// The cursor for `place` in `list` of `tenant`. `list` says all that makes it this list and no other.
    #[must_use]
    pub fn seal(&self, tenant: &TenantId, list: &[u8], place: &[u8], now: Timestamp) -> String {
        let mut bytes = Vec::with_capacity(HEAD + place.len() + MAC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&now.0.to_be_bytes());
        bytes.extend_from_slice(place);
        let mac = self.mac(tenant, list, &bytes);
        bytes.extend_from_slice(&mac.as_bytes()[..MAC]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place a cursor names.
    pub fn open(&self, tenant: &TenantId, list: &[u8], cursor: &str, now: Timestamp) -> Result<Vec<u8>, InvalidCursor> {
        let forged = InvalidCursor::Forged;
        if cursor.len() > LONGEST {
            return Err(forged);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| forged)?;
        if bytes.len() < HEAD + MAC || bytes[0] != VERSION {
            return Err(forged);
        }
        let given = bytes.split_off(bytes.len() - MAC);
        let mut mac = *self.mac(tenant, list, &bytes).as_bytes();
        // `blake3::Hash` compares in constant time; the part that was cut off is taken for equal.
        let whole = blake3::Hash::from(mac);
        mac[..MAC].copy_from_slice(&given);
        if blake3::Hash::from(mac) != whole {
            return Err(forged);
        }
        let made = Timestamp(i64::from_be_bytes(bytes[1..HEAD].try_into().map_err(|_| forged)?));
        if now.since(made) > LIFETIME {
            return Err(InvalidCursor::Expired);
        }
        Ok(bytes.split_off(HEAD))
    }

    fn mac(&self, tenant: &TenantId, list: &[u8], bytes: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [tenant.as_str().as_bytes(), list, bytes] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InvalidCursor, LIFETIME};
    use crate::clock::Timestamp;
    use crate::revision::RevisionKey;

    #[test]
    fn a_cursor_opens_in_its_list_of_its_tenant_until_it_is_old() {
        let key = RevisionKey::derive(b"secret").cursor_key();
        let (acme, now) = ("acme".parse().unwrap(), Timestamp(1_000_000));
        let cursor = key.seal(&acme, b"users", b"place", now);
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)), "RFC 3986 section 2.3");
        assert_eq!(key.open(&acme, b"users", &cursor, now.plus(LIFETIME)).unwrap(), b"place");
        let late = now.plus(LIFETIME + Duration::from_micros(1));
        assert_eq!(key.open(&acme, b"users", &cursor, late), Err(InvalidCursor::Expired));
        let forged = Err(InvalidCursor::Forged);
        assert_eq!(key.open(&"other".parse().unwrap(), b"users", &cursor, now), forged);
        assert_eq!(key.open(&acme, b"groups", &cursor, now), forged);
        assert_eq!(RevisionKey::derive(b"other").cursor_key().open(&acme, b"users", &cursor, now), forged);
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let key = RevisionKey::derive(b"secret").cursor_key();
        let (acme, now) = ("acme".parse().unwrap(), Timestamp(1_000_000));
        let cursor = key.seal(&acme, b"users", b"place", now);
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = std::str::from_utf8(&changed).unwrap();
            assert_eq!(key.open(&acme, b"users", changed, now), Err(InvalidCursor::Forged), "byte {at}");
        }
        for junk in ["", "x", "ü", "' OR 1=1 --", "{}", &cursor[1..], &cursor[..8], &"A".repeat(100_000)] {
            assert_eq!(key.open(&acme, b"users", junk, now), Err(InvalidCursor::Forged));
        }
    }
}
