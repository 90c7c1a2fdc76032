//! The rule: which state of the store a kept set answers for. All that is true of the cache rests on it.
//!
//! A set right at revision c answers a read that needs t if c ≥ t; or if the replica's position is t or later, c is not
//! below its floor, and nothing the set depends on has a stamp above c. The second holds because whatever changes a set
//! first stamps something it depended on before.

use domain::revision::{Position, Revision};

use super::entry::Dependency;
use super::replica::Replica;

/// The revisions at which a set is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first of them: where it was computed or last confirmed.
    pub(crate) from: Revision,
    /// The last that is known of.
    pub(crate) to: Revision,
}

/// For which revisions a set that was right at `right_at` is right, as far as `replica` knows. `None` for a set of another
/// life of the database: nothing is known of it.
pub(crate) fn span(
    right_at: Position,
    dependencies: impl Iterator<Item = Dependency>,
    replica: &Replica,
) -> Option<Span> {
    let Position { epoch, revision: at } = replica.position();
    if right_at.epoch != epoch {
        return None;
    }
    let from = right_at.revision;
    let still = from < at && from >= replica.floor() && !replica.changed_since(from, dependencies);
    let to = if still { at } else { from };
    #[cfg(test)]
    let to = if to >= at && replica.without == Some(super::Defence::Position) { Revision(u64::MAX) } else { to };
    Some(Span { from, to })
}

/// The newest revision, not before `needed`, at which all of several sets are right; `None` if there is none. Sets that
/// are answered together belong to one state of the store.
pub(crate) fn agree(spans: impl IntoIterator<Item = Span>, needed: Revision) -> Option<Revision> {
    let common = spans.into_iter().reduce(|a, b| Span { from: a.from.max(b.from), to: a.to.min(b.to) })?;
    (common.to >= common.from && common.to >= needed).then_some(common.to)
}

#[cfg(test)]
mod tests {
    use domain::id::UserId;
    use domain::revision::Epoch;

    use super::*;
    use crate::cache::replica::{Change, Stamps};

    #[test]
    fn a_set_is_right_from_where_it_was_read_to_the_position_unless_stamped_forgotten_or_of_another_epoch() {
        let epoch = Epoch::new();
        let at = |revision| Position { epoch, revision: Revision(revision) };
        let ann = Dependency::User(UserId::new());
        let mut replica = Replica::new(at(10), 100);
        let stamped = Change { revision: Revision(11), stamps: Stamps::Some(vec![ann]) };
        let other = Change { revision: Revision(12), stamps: Stamps::Some(vec![]) };
        replica.follow(&[stamped, other], at(12)).unwrap();
        let known = |right_at, of: &[Dependency]| span(right_at, of.iter().copied(), &replica);
        let from_to = |from, to| Some(Span { from: Revision(from), to: Revision(to) });
        assert_eq!(known(at(11), &[ann]), from_to(11, 12));
        assert_eq!(known(at(10), &[ann]), from_to(10, 10), "stamped");
        assert_eq!(known(at(10), &[]), from_to(10, 12));
        assert_eq!(known(at(9), &[]), from_to(9, 9), "below the floor");
        assert_eq!(known(at(15), &[ann]), from_to(15, 15), "ahead of what this replica has heard");
        assert_eq!(known(Position { epoch: Epoch::new(), ..at(11) }, &[]), None);
    }

    #[test]
    fn sets_agree_in_the_newest_state_all_are_right_at() {
        let span = |from, to| Span { from: Revision(from), to: Revision(to) };
        let agree = |spans: &[Span], needed| agree(spans.iter().copied(), Revision(needed));
        assert_eq!(agree(&[span(1, 9), span(4, 7)], 5), Some(Revision(7)));
        assert_eq!(agree(&[span(1, 9), span(4, 7)], 8), None);
        assert_eq!(agree(&[span(1, 3), span(4, 7)], 0), None, "right at different times");
        assert_eq!(agree(&[], 0), None);
    }
}
