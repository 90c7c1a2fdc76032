//! The protocol of filling, following and forgetting, checked in every order it can happen in: the real rule, the real
//! replica and real entries, driven by a model of the store and of a shared cache that may lie in every way it can.
//!
//! Ann is a user who may be a member of a group, which may bear a label whose role the ground may recognise. Each change
//! turns one of the three over, or concerns somebody else. The shared cache holds every entry that anybody ever made, and
//! answers with any of them: so a late fill, a lost invalidation, an old snapshot that was restored and a replayed entry
//! are all one case. Memory is so small that stamps are forgotten all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use domain::effective::EffectiveSet;
use domain::grant::{ContextType, Grant};
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use stateright::{Checker as _, Model, Property};

use super::defence::Defence;
use super::entry::{CacheKey, Dependency, Entry};
use super::replica::{Change, Replica, Stamps};
use super::rule::{agree, span};
use super::seal::{open, seal};

static ANN: LazyLock<UserId> = LazyLock::new(UserId::new);
static BOB: LazyLock<UserId> = LazyLock::new(UserId::new);
static STAFF: LazyLock<GroupId> = LazyLock::new(GroupId::new);
static EPOCH: LazyLock<Epoch> = LazyLock::new(Epoch::new);
static ACME: LazyLock<TenantId> = LazyLock::new(|| "acme".parse().unwrap());
static KEY: LazyLock<CacheKey> = LazyLock::new(|| CacheKey::derive(b"the model's secret"));

/// What a commit turns over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Membership,
    Label,
    Ground,
    SomebodyElse,
}

const TURNS: [Turn; 4] = [Turn::Membership, Turn::Label, Turn::Ground, Turn::SomebodyElse];

/// How much of the world there is.
#[derive(Clone, Copy, Debug)]
struct World {
    commits: usize,
    memory: usize,
    without: Option<Defence>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The store: the commit that took revision 1, 2, …
    history: Vec<Turn>,
    replica: Replica,
    /// Sealed, as the shared cache holds them: every entry that was ever made.
    made: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Commit(Turn),
    /// The replica reads so many revisions of the feed.
    Follow(usize),
    /// The replica loses the feed and begins anew, this far behind the head.
    BeginAnew(usize),
    /// A set is computed from a snapshot of the store. It may reach the cache any time later: what is made is never lost.
    Compute,
    /// An entry that the rule allows is kept as right at the position.
    Raise,
    /// The store compares an entry's stamps, and it is kept as right at the head.
    Confirm,
}

impl State {
    fn head(&self) -> Position {
        position(self.history.len())
    }

    /// How often each was turned over up to a revision, and when last.
    fn turned(&self, at: Revision) -> BTreeMap<usize, (usize, Revision)> {
        let mut turned = BTreeMap::new();
        for (n, turn) in self.history.iter().enumerate().take(usize::try_from(at.0).unwrap()) {
            let (times, last) = turned.entry(*turn as usize).or_insert((0, Revision(0)));
            (*times, *last) = (*times + 1, Revision(n as u64 + 1));
        }
        turned
    }

    fn holds(&self, turn: Turn, at: Revision) -> bool {
        self.turned(at).get(&(turn as usize)).is_some_and(|(times, _)| times % 2 == 1)
    }

    /// What the store says at a revision: the oracle.
    fn truth(&self, at: Revision) -> Entry {
        let member = self.holds(Turn::Membership, at);
        let labelled = member && self.holds(Turn::Label, at);
        // The ground recognises the role at first.
        let recognised = !self.holds(Turn::Ground, at);
        let grant = Grant { role: "STORE".into(), context_type: ContextType::Account, context_id: "0".into() };
        let grants = if labelled && recognised { BTreeMap::from([(grant, BTreeSet::new())]) } else { BTreeMap::new() };
        let unmatched = BTreeMap::new();
        Entry {
            user: *ANN,
            name: KEY.name(&ACME, "ann"),
            right_at: Position { epoch: *EPOCH, revision: at },
            groups: if member { [*STAFF].into() } else { Box::default() },
            set: EffectiveSet { active: true, grants, unmatched, has_labels: labelled },
        }
    }

    /// The store's own stamps, compared as identity-store does.
    fn unchanged(&self, entry: &Entry) -> bool {
        let turned = self.turned(self.head().revision);
        let stamp = |turn: Turn| turned.get(&(turn as usize)).map_or(Revision(0), |(_, last)| *last);
        let group = if entry.groups.is_empty() { Revision(0) } else { stamp(Turn::Label) };
        [stamp(Turn::Membership), stamp(Turn::Ground), group].iter().all(|stamp| *stamp <= entry.right_at.revision)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.made.iter().map(|bytes| open(&KEY, &ACME, *ANN, bytes).unwrap())
    }

    fn keep(&mut self, entry: &Entry) {
        self.made.insert(seal(&KEY, &ACME, entry));
    }

    /// The feed after the replica's position.
    fn feed(&self, count: usize) -> Vec<Change> {
        let from = usize::try_from(self.replica.position().revision.0).unwrap();
        let some = self.history.iter().enumerate().skip(from).take(count);
        some.map(|(n, turn)| Change { revision: Revision(n as u64 + 1), stamps: stamps(*turn) }).collect()
    }
}

fn position(revision: usize) -> Position {
    Position { epoch: *EPOCH, revision: Revision(revision as u64) }
}

fn stamps(turn: Turn) -> Stamps {
    Stamps::Some(match turn {
        Turn::Ground => return Stamps::Ground,
        Turn::Membership => vec![Dependency::User(*ANN)],
        Turn::Label => vec![Dependency::Group(*STAFF)],
        Turn::SomebodyElse => vec![Dependency::User(*BOB)],
    })
}

impl World {
    fn replica(&self, at: Position) -> Replica {
        let mut replica = Replica::new(at, self.memory);
        replica.without = self.without;
        replica
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { history: Vec::new(), replica: self.replica(position(0)), made: BTreeSet::new() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.history.len() < self.commits {
            actions.extend(TURNS.map(Action::Commit));
        }
        actions.extend((1..=state.feed(usize::MAX).len()).map(Action::Follow));
        actions.extend((0..=state.history.len().min(1)).map(Action::BeginAnew));
        actions.extend([Action::Compute, Action::Raise, Action::Confirm]);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Commit(turn) => state.history.push(turn),
            Action::Follow(count) => state.replica.follow(&before.feed(count), before.head()).unwrap(),
            Action::BeginAnew(behind) => state.replica = self.replica(position(before.history.len() - behind)),
            Action::Compute => state.keep(&before.truth(before.head().revision)),
            Action::Raise => {
                for mut entry in before.entries() {
                    if let Some(known) = span(entry.right_at, entry.dependencies(), &before.replica) {
                        entry.right_at.revision = known.to;
                        state.keep(&entry);
                    }
                }
            }
            Action::Confirm => {
                for mut entry in before.entries().filter(|entry| before.unchanged(entry)) {
                    entry.right_at = before.head();
                    state.keep(&entry);
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what answers a read is the truth of a state not before the one it needs",
                |_, state: &State| {
                    let mut needs = (0..=state.history.len()).map(|needed| Revision(needed as u64));
                    needs.all(|needed| {
                        state.entries().all(|entry| {
                            let known = span(entry.right_at, entry.dependencies(), &state.replica);
                            agree(known, needed).is_none_or(|at| at >= needed && state.truth(at).set == entry.set)
                        })
                    })
                },
            ),
            Property::always("entries are only made of what was true", |_, state: &State| {
                state.entries().all(|entry| state.truth(entry.right_at.revision) == entry)
            }),
            Property::sometimes("an entry older than the position answers at the position", |_, state: &State| {
                let at = state.replica.position().revision;
                state.entries().any(|entry| {
                    let known = span(entry.right_at, entry.dependencies(), &state.replica);
                    entry.right_at.revision < at && agree(known, at) == Some(at)
                })
            }),
        ]
    }
}

/// Whether a property that must always hold was found not to.
fn anomaly(world: World) -> bool {
    let checker = world.checker().spawn_bfs().join();
    [
        "what answers a read is the truth of a state not before the one it needs",
        "entries are only made of what was true",
    ]
    .iter()
    .any(|property| checker.discovery(property).is_some())
}

const SMALL: World = World { commits: 4, memory: 1, without: None };

#[test]
fn in_every_order_what_the_rule_lets_answer_is_the_truth() {
    for (commits, memory) in [(4, 1), (3, 2)] {
        let checker = World { commits, memory, ..SMALL }.checker().spawn_bfs().join();
        assert!(checker.is_done(), "every state was looked at");
        checker.assert_properties();
    }
    // Who remembers nothing at all knows nothing wrong.
    assert!(!anomaly(World { memory: 0, commits: 3, ..SMALL }));
}

#[test]
fn without_the_stamps_a_revoked_grant_comes_back() {
    assert!(anomaly(World { without: Some(Defence::Stamps), ..SMALL }));
}

#[test]
fn without_the_floor_a_revoked_grant_comes_back() {
    assert!(anomaly(World { without: Some(Defence::Floor), ..SMALL }));
}

#[test]
fn without_the_position_a_revoked_grant_is_answered_to_one_who_knows_of_the_revocation() {
    assert!(anomaly(World { without: Some(Defence::Position), commits: 2, ..SMALL }));
}
