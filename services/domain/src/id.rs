//! Identifiers. Each kind is a type of its own: a group's id can't be passed where a user's is wanted.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// A text that is not an identifier of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {expected}")]
pub struct InvalidId {
    kind: &'static str,
    expected: &'static str,
}

/// The name of a tenant: one Fluent account in one environment, for example `acme-sandbox`.
///
/// One to 63 characters of `a`–`z`, `0`–`9` and `-`, beginning with a letter. It names the tenant's folder of Fluent
/// settings, so it can hold nothing that means something to a file system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let sound = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId { kind: "tenant", expected: "1 to 63 of a-z, 0-9 and -, beginning with a letter" })
        }
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier; later ones sort after earlier ones (UUID version 7).
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default identifier would be a lie: each is new")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 16 bytes that databases hold.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads the 16 bytes that databases hold.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| InvalidId { kind: $kind, expected: "16 bytes" })
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // Only the hyphenated lower-case form: ids are case-exact (RFC 7643 section 3.1), one id has one spelling.
                match Uuid::try_parse(text) {
                    Ok(uuid) if uuid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Ok(Self(uuid)),
                    _ => Err(InvalidId { kind: $kind, expected: "a lower-case hyphenated UUID" }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The SCIM `id` of a user. Made by identity-store, never taken from a request.
    UserId,
    "user id"
);
uuid_id!(
    /// The SCIM `id` of a group. Made by identity-store, never taken from a request.
    GroupId,
    "group id"
);

/// Who is a member of a group: a user, or a group nested in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberId {
    /// A user.
    User(UserId),
    /// A nested group.
    Group(GroupId),
}

#[cfg(test)]
mod tests {
    use super::{TenantId, UserId};

    #[test]
    fn a_tenant_name_is_safe_in_a_path() {
        for good in ["a", "acme", "acme-sandbox-2"] {
            assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
        }
        for bad in ["", "Acme", "-a", "1a", "a/b", "..", "a_b", &"a".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_id_has_one_spelling() {
        let id = UserId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<UserId>().is_err());
        assert!(id.to_string().replace('-', "").parse::<UserId>().is_err());
        assert!("1".parse::<UserId>().is_err());
    }
}
