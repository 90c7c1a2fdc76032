//! How fresh an answer must be, and whether one is.
//!
//! Every answer is read from the store, which is always at the head; so what is left to check is that the caller's token
//! speaks of the same history: the same tenant, the same life of the database, and a revision that has happened.

use domain::id::TenantId;
use domain::revision::{InvalidRevisionToken, Position, RevisionKey};
use runtime::error::{Error, Reason};

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The state of the store now.
    Head,
    /// A state that has seen this position.
    AtLeast(Position),
}

impl Freshness {
    /// Reads the revision token that `tenant` presents.
    pub(crate) fn at_least(key: &RevisionKey, tenant: &TenantId, token: &str) -> Result<Self, Error> {
        key.open(tenant, token).map(Self::AtLeast).map_err(|error| {
            let reason = match error {
                InvalidRevisionToken::Forged => Reason::REVISION_TOKEN_INVALID,
                InvalidRevisionToken::OtherTenant => Reason::REVISION_OF_OTHER_TENANT,
            };
            Error::new(reason, error.to_string())
        })
    }

    /// Whether a state read at `read` is fresh enough. If it is not, no later read will be: the token comes from a history
    /// that this database does not have.
    pub(crate) fn allows(self, read: Position) -> Result<(), Error> {
        match self {
            Self::AtLeast(wanted) if wanted.epoch != read.epoch => Err(Error::new(
                Reason::EPOCH_MISMATCH,
                "the revision token is from another life of the database; read without it and keep the new one",
            )),
            Self::AtLeast(wanted) if wanted.revision > read.revision => Err(Error::new(
                Reason::REVISION_AHEAD,
                "the revision token is ahead of the store: the database was restored and its epoch was not renewed",
            )),
            Self::Head | Self::AtLeast(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::revision::{Epoch, Position, Revision, RevisionKey};
    use runtime::error::{Error, Reason};

    use super::Freshness;

    fn at(epoch: Epoch, revision: u64) -> Position {
        Position { epoch, revision: Revision(revision) }
    }

    #[test]
    fn a_token_is_met_by_its_own_and_every_later_revision() {
        let epoch = Epoch::new();
        let wanted = Freshness::AtLeast(at(epoch, 5));
        assert_eq!(wanted.allows(at(epoch, 5)), Ok(()));
        assert_eq!(wanted.allows(at(epoch, 6)), Ok(()));
        assert_eq!(wanted.allows(at(epoch, 4)).unwrap_err().reason(), Reason::REVISION_AHEAD);
        assert_eq!(wanted.allows(at(Epoch::new(), 9)).unwrap_err().reason(), Reason::EPOCH_MISMATCH);
        assert_eq!(Freshness::Head.allows(at(epoch, 0)), Ok(()));
    }

    #[test]
    fn a_token_that_is_not_the_tenants_is_refused() {
        let key = RevisionKey::derive(b"secret");
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let position = at(Epoch::new(), 1);
        let token = key.seal(&acme, position);
        assert_eq!(Freshness::at_least(&key, &acme, &token), Ok(Freshness::AtLeast(position)));
        let reason = |result: Result<Freshness, Error>| result.unwrap_err().reason();
        assert_eq!(reason(Freshness::at_least(&key, &other, &token)), Reason::REVISION_OF_OTHER_TENANT);
        assert_eq!(reason(Freshness::at_least(&key, &acme, "junk")), Reason::REVISION_TOKEN_INVALID);
    }
}
