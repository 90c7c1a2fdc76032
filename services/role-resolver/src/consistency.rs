//! How fresh an answer must be, and whether one is.
//!
//! What a caller asks for becomes a revision that kept sets can be held against, or the insight that only the store can
//! tell. What the store answers is at its head, so there all that is left to check is that the caller's token speaks of
//! the same history: the same tenant, the same life of the database, and a revision that has happened.

use std::time::Duration;

use domain::id::TenantId;
use domain::revision::{InvalidRevisionToken, Position, Revision, RevisionKey};
use runtime::error::{Error, Reason};
use tokio::time::Instant;

use crate::cache::Standing;

/// Reads the revision token that `tenant` presents.
pub(crate) fn open(key: &RevisionKey, tenant: &TenantId, token: &str) -> Result<Position, Error> {
    key.open(tenant, token).map_err(|error| {
        let reason = match error {
            InvalidRevisionToken::Forged => Reason::REVISION_TOKEN_INVALID,
            InvalidRevisionToken::OtherTenant => Reason::REVISION_OF_OTHER_TENANT,
        };
        Error::new(reason, error.to_string())
    })
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The state the replica knows of, if that was the head not long ago.
    Latency,
    /// The state of the store now.
    Head,
    /// A state that has seen this position.
    AtLeast(Position),
}

impl Freshness {
    /// The revision a kept set must be right at, where the tenant's replica stands so at `now`; `None` if only the store
    /// can tell. A position counts as the head for `bound` after it was confirmed.
    pub(crate) fn needed(self, standing: Option<&Standing>, now: Instant, bound: Duration) -> Option<Revision> {
        let Standing { position, confirmed, .. } = standing?;
        match self {
            Self::Latency => {
                let recent = |confirmed: Instant| now.saturating_duration_since(confirmed) < bound;
                confirmed.is_some_and(recent).then_some(position.revision)
            }
            Self::AtLeast(wanted) => (wanted.epoch == position.epoch).then_some(wanted.revision),
            Self::Head => None,
        }
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
            Self::Latency | Self::Head | Self::AtLeast(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::revision::{Epoch, Position, Revision, RevisionKey};
    use runtime::error::{Error, Reason};
    use tokio::time::Instant;

    use super::{Freshness, open};
    use crate::cache::Standing;

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
    fn a_position_will_do_for_a_while_after_it_was_the_head_and_never_for_another_epochs_token() {
        let (epoch, now, bound) = (Epoch::new(), Instant::now(), Duration::from_secs(5));
        let standing = |confirmed| Standing { position: at(epoch, 9), confirmed, life: 0, shared: true };
        let needed = |freshness: Freshness, confirmed| freshness.needed(Some(&standing(confirmed)), now + bound, bound);
        let just_now = Some(now + Duration::from_nanos(1));
        assert_eq!(needed(Freshness::Latency, just_now), Some(Revision(9)));
        assert_eq!(needed(Freshness::Latency, Some(now)), None, "confirmed too long ago");
        assert_eq!(needed(Freshness::Latency, None), None);
        assert_eq!(needed(Freshness::Head, just_now), None);
        assert_eq!(needed(Freshness::AtLeast(at(epoch, 12)), None), Some(Revision(12)));
        assert_eq!(needed(Freshness::AtLeast(at(Epoch::new(), 1)), just_now), None);
        assert_eq!(Freshness::Latency.needed(None, now, bound), None);
    }

    #[test]
    fn a_token_that_is_not_the_tenants_is_refused() {
        let key = RevisionKey::derive(b"secret");
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let position = at(Epoch::new(), 1);
        let token = key.seal(&acme, position);
        assert_eq!(open(&key, &acme, &token), Ok(position));
        let reason = |result: Result<Position, Error>| result.unwrap_err().reason();
        assert_eq!(reason(open(&key, &other, &token)), Reason::REVISION_OF_OTHER_TENANT);
        assert_eq!(reason(open(&key, &acme, "junk")), Reason::REVISION_TOKEN_INVALID);
    }
}
