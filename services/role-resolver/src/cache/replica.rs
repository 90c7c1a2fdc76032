//! What a process knows of a tenant's changes: every stamp in (floor, position], learnt by following the feed.
//!
//! Memory is bounded: forgetting old stamps raises the floor, below which nothing is said. Pure: whoever reads the feed
//! feeds it, and whatever makes the feed doubtful makes a new replica.

use std::collections::{BTreeMap, VecDeque};

use domain::revision::{Position, Revision};

#[cfg(test)]
use super::defence::Defence;
use super::entry::Dependency;

/// One entry of the feed, as far as kept sets are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The revision it took. Parts of one change have the same.
    pub(crate) revision: Revision,
    /// What it stamps.
    pub(crate) stamps: Stamps,
}

/// What a change stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// The tenant's ground: catalogue, rules, settings.
    Ground,
    /// Users and groups; a join or leave stamps the member and never the group.
    Some(Vec<Dependency>),
}

/// The feed skipped a revision: changes were lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed skipped a revision")]
pub(crate) struct Gap;

/// The knowledge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    position: Position,
    floor: Revision,
    ground: Revision,
    stamps: BTreeMap<Dependency, Revision>,
    /// Stamps in the order they were learnt; one that was raised again since is in it twice.
    order: VecDeque<(Revision, Dependency)>,
    /// The most stamps that are remembered.
    capacity: usize,
    /// The defence that a test turns off.
    #[cfg(test)]
    pub(crate) without: Option<Defence>,
}

impl Replica {
    /// Knows that nothing happened since `position`, and nothing of what was before.
    pub(crate) fn new(position: Position, capacity: usize) -> Self {
        Self {
            position,
            floor: position.revision,
            ground: Revision(0),
            stamps: BTreeMap::new(),
            order: VecDeque::new(),
            capacity,
            #[cfg(test)]
            without: None,
        }
    }

    /// Up to where everything is known.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// From where on.
    pub(crate) fn floor(&self) -> Revision {
        #[cfg(test)]
        if self.without == Some(Defence::Floor) {
            return Revision(0);
        }
        self.floor
    }

    /// Learns what follows in the feed; `head` is where the tenant stood when it was read. After a gap nothing it knows
    /// may be used: make a new one.
    pub(crate) fn follow(&mut self, changes: &[Change], head: Position) -> Result<(), Gap> {
        let mut at = self.position.revision;
        if head.epoch != self.position.epoch || (changes.is_empty() && head.revision != at) {
            return Err(Gap);
        }
        for Change { revision, stamps } in changes {
            // All parts of a revision come together.
            if *revision != at.next() && (*revision != at || at == self.position.revision) {
                return Err(Gap);
            }
            at = *revision;
            match stamps {
                Stamps::Ground => self.ground = at,
                Stamps::Some(stamped) => {
                    for dependency in stamped {
                        self.stamps.insert(*dependency, at);
                        self.order.push_back((at, *dependency));
                    }
                }
            }
        }
        self.position.revision = at;
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        while self.order.len() > self.capacity {
            let Some((revision, dependency)) = self.order.pop_front() else { return };
            // One that was raised again since is still known by its later stamp.
            if self.stamps.get(&dependency) == Some(&revision) {
                self.stamps.remove(&dependency);
                self.floor = self.floor.max(revision);
            }
        }
    }

    /// Whether the ground, or one of `dependencies`, is known to have a stamp above `revision`. It says nothing of
    /// revisions below the floor or above the position.
    pub(crate) fn changed_since(&self, revision: Revision, mut dependencies: impl Iterator<Item = Dependency>) -> bool {
        #[cfg(test)]
        if self.without == Some(Defence::Stamps) {
            return false;
        }
        let later = |stamp: &Revision| *stamp > revision;
        later(&self.ground) || dependencies.any(|dependency| self.stamps.get(&dependency).is_some_and(later))
    }
}

#[cfg(test)]
mod tests {
    use domain::id::{GroupId, UserId};
    use domain::revision::Epoch;

    use super::*;

    fn at(epoch: Epoch, revision: u64) -> Position {
        Position { epoch, revision: Revision(revision) }
    }

    fn change(revision: u64, stamped: &[Dependency]) -> Change {
        Change { revision: Revision(revision), stamps: Stamps::Some(stamped.to_vec()) }
    }

    #[test]
    fn it_knows_what_came_after_its_start_and_whom_it_touched() {
        let epoch = Epoch::new();
        let (ann, staff) = (Dependency::User(UserId::new()), Dependency::Group(GroupId::new()));
        let mut replica = Replica::new(at(epoch, 10), 100);
        replica.follow(&[change(11, &[ann]), change(12, &[staff])], at(epoch, 20)).unwrap();
        assert_eq!((replica.position(), replica.floor()), (at(epoch, 12), Revision(10)));
        let changed =
            |replica: &Replica, since, of: Dependency| replica.changed_since(Revision(since), [of].into_iter());
        assert!(changed(&replica, 10, ann) && !changed(&replica, 11, ann));
        assert!(changed(&replica, 11, staff) && !changed(&replica, 12, staff));
        let ground = Change { revision: Revision(13), stamps: Stamps::Ground };
        replica.follow(&[ground], at(epoch, 13)).unwrap();
        assert!(changed(&replica, 12, ann) && !changed(&replica, 13, ann));
    }

    #[test]
    fn what_is_forgotten_raises_the_floor_and_a_stamp_raised_again_is_not_forgotten() {
        let epoch = Epoch::new();
        let [a, b, c] = std::array::from_fn(|_| Dependency::User(UserId::new()));
        let mut replica = Replica::new(at(epoch, 0), 2);
        replica.follow(&[change(1, &[a]), change(2, &[a]), change(3, &[b])], at(epoch, 3)).unwrap();
        assert_eq!(replica.floor(), Revision(0), "the second stamp of a stands for its first");
        replica.follow(&[change(4, &[c])], at(epoch, 4)).unwrap();
        assert_eq!(replica.floor(), Revision(2));
        assert!(replica.changed_since(Revision(2), [b].into_iter()));
        let many: Vec<_> = (0..5).map(|_| Dependency::User(UserId::new())).collect();
        replica.follow(&[change(5, &many)], at(epoch, 5)).unwrap();
        assert_eq!((replica.floor(), replica.stamps.len()), (Revision(5), 2), "a change larger than the memory");
    }

    #[test]
    fn a_feed_that_skips_or_is_anothers_is_not_followed() {
        let epoch = Epoch::new();
        let fresh = || Replica::new(at(epoch, 10), 100);
        let parts = [change(11, &[]), change(11, &[]), change(12, &[])];
        assert_eq!(fresh().follow(&parts, at(epoch, 12)), Ok(()));
        assert_eq!(fresh().follow(&[], at(epoch, 10)), Ok(()));
        for (changes, head) in [
            (vec![change(12, &[])], at(epoch, 12)),
            (vec![change(11, &[]), change(13, &[])], at(epoch, 13)),
            (vec![change(10, &[])], at(epoch, 11)),
            (vec![], at(epoch, 11)),
            (vec![], at(Epoch::new(), 10)),
        ] {
            assert_eq!(fresh().follow(&changes, head), Err(Gap), "{changes:?}");
        }
    }
}
