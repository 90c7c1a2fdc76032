//! What is told to one who watches: from a position on, whose set may have changed, with the set as it now is.
//!
//! A page of the feed is told at a time. From it follows whom its changes name, and in which revisions a group or the
//! ground changed: whom those concern, identity-store lists. Only sets that are right at the page's end are told, so that
//! whatever changed meanwhile is told as one. Nothing is kept for a watch but the page it tells, and that is read on only
//! when the caller has taken what was told: a slow caller costs its own place and holds nobody up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::id::{TenantId, UserId};
use domain::revision::{Position, Revision};
use runtime::error::{Error, Reason};
use tokio::sync::watch::Receiver;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::cache::{Change, Dependency, Kept, Stamps, Tail};
use crate::consistency::Freshness;
use crate::peers::{Store, UserStream};
use crate::resolver::{Answer, Resolver};

/// How many users are told of at a time.
const PART: usize = 500;
/// How many revisions are told of at a time: where a call breaks off before their token, they are told again.
const REVISIONS: u32 = 100;
/// How long nothing is told where nothing happens: half of what the contract says.
const SILENCE: Duration = Duration::from_secs(5);
/// How long nothing is told while what happened is read.
const READING: Duration = Duration::from_secs(7);

/// What is told at a time.
#[derive(Debug)]
pub(crate) struct News {
    /// Those concerned, with the sets they now have; `None` for one who is gone.
    pub(crate) users: Vec<(UserId, Option<Kept>)>,
    /// The state in which they have them.
    pub(crate) position: Option<Position>,
    /// Everything up to here has been told; `None` where more about the same changes follows.
    pub(crate) told: Option<Position>,
}

impl News {
    /// That there is nothing to tell, or not yet.
    fn of_nobody(told: Option<Position>) -> Self {
        Self { users: Vec::new(), position: None, told }
    }
}

/// A watch under way.
#[derive(Debug)]
pub(crate) struct Watch {
    tenant: TenantId,
    tail: Arc<Tail>,
    /// In which life of the tenant's history, as the tail tells them apart, it was begun.
    life: u64,
    moved: Receiver<Position>,
    told: Position,
    telling: Option<Telling>,
    begun: bool,
}

impl Watch {
    /// Begins after a position, or now; where the tenant is watched by fewer than `most`.
    pub(crate) async fn begin(
        resolver: &Resolver,
        tenant: TenantId,
        after: Option<Position>,
        most: usize,
    ) -> Result<Self, Error> {
        let (head, tail) = resolver.follow(&tenant).await?;
        let moved = tail.watch(most).ok_or_else(|| {
            let message =
                format!("{most} watches of the tenant are under way, which is as many as one process answers");
            Error::new(Reason::RESOURCE_EXHAUSTED, message).retry_after(SILENCE)
        })?;
        let life = tail.standing().life;
        let mut watch = Self { tenant, tail, life, moved, told: head, telling: None, begun: false };
        if let Some(after) = after {
            Freshness::AtLeast(after).allows(head)?;
            watch.told = after;
            // Whether the feed reaches back is told before the watch is said to begin.
            watch.read(resolver).await?;
        }
        Ok(watch)
    }

    /// What is told next: where it begins; then what happened; or, where nothing does for a while, just that.
    async fn next(&mut self, resolver: &Resolver) -> Result<News, Error> {
        if !self.begun {
            self.begun = true;
            return Ok(News::of_nobody(Some(self.told)));
        }
        if self.telling.is_none() && !self.read(resolver).await? {
            let told = self.told;
            let moves = self.moved.wait_for(|position| !told.covers(*position));
            if tokio::time::timeout(SILENCE, moves).await.is_ok() {
                self.read(resolver).await?;
            }
        }
        let Some(telling) = &mut self.telling else { return Ok(News::of_nobody(Some(self.told))) };
        let (mut users, mut is_last) = telling.next(&resolver.store, &self.tenant).await?;
        let through = telling.through;
        let Answer { position, sets, .. } =
            resolver.first_sets(&self.tenant, &users, Freshness::AtLeast(through)).await?;
        let rest = users.split_off(sets.len());
        is_last &= rest.is_empty();
        telling.waiting.splice(..0, rest);
        if is_last {
            (self.told, self.telling) = (through, None);
        }
        self.is_of_one_history()?;
        let users: Vec<_> = users.into_iter().zip(sets).collect();
        let position = (!users.is_empty()).then_some(position);
        Ok(News { users, position, told: is_last.then_some(through) })
    }

    /// Reads on in the feed; answers whether there was anything.
    async fn read(&mut self, resolver: &Resolver) -> Result<bool, Error> {
        let changes = resolver.store.read_feed(&self.tenant, self.told, REVISIONS).await?.changes;
        self.is_of_one_history()?;
        self.telling = Telling::of(&changes, self.told);
        Ok(self.telling.is_some())
    }

    /// A store that went back and has caught up since shows nothing of it in its feed.
    fn is_of_one_history(&self) -> Result<(), Error> {
        if self.tail.standing().life == self.life {
            return Ok(());
        }
        let message = "identity-store's database was restored: what was told may never have happened; watch anew";
        Err(Error::new(Reason::EPOCH_MISMATCH, message))
    }
}

/// A watch as it goes on: what is told next may take long to read, and meanwhile that is told. It is read by a task of its
/// own, which goes on also while nobody takes what is told, so that it holds nothing others wait for.
pub(crate) struct Watching {
    resolver: Arc<Resolver>,
    tenant: TenantId,
    resting: Option<Watch>,
    reading: Option<AbortOnDropHandle<(Watch, Result<News, Error>)>>,
}

impl Watching {
    pub(crate) fn new(watch: Watch, resolver: Arc<Resolver>) -> Self {
        Self { tenant: watch.tenant.clone(), resolver, resting: Some(watch), reading: None }
    }

    /// Whom it watches.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What is told next.
    pub(crate) async fn next(&mut self) -> Result<News, Error> {
        if let Some(mut watch) = self.resting.take() {
            let resolver = Arc::clone(&self.resolver);
            let read = async move {
                let news = watch.next(&resolver).await;
                (watch, news)
            };
            self.reading = Some(AbortOnDropHandle::new(tokio::spawn(read.in_current_span())));
        }
        let broken = || Error::new(Reason::INTERNAL, "the watch broke off; begin it again from the last token");
        let reading = self.reading.as_mut().ok_or_else(broken)?;
        let Ok(read) = tokio::time::timeout(READING, reading).await else { return Ok(News::of_nobody(None)) };
        self.reading = None;
        let (watch, news) = read.map_err(|_| broken())?;
        // It may have been read a while ago.
        let of_one_history = watch.is_of_one_history();
        self.resting = Some(watch);
        of_one_history.and(news)
    }
}

/// A page of the feed of which those concerned are being told.
#[derive(Debug)]
struct Telling {
    through: Position,
    /// Those whom the page itself names.
    named: BTreeSet<UserId>,
    /// The revisions of which identity-store lists those concerned, and how far that has come.
    revisions: VecDeque<Revision>,
    list: Option<UserStream>,
    /// Those who are to be told next.
    waiting: Vec<UserId>,
}

impl Telling {
    /// What follows from a page that was read after `told`; `None` from an empty one.
    fn of(changes: &[Change], told: Position) -> Option<Self> {
        let revision = changes.last()?.revision;
        let Concerned { named, revisions } = Concerned::by(changes);
        let waiting = named.iter().copied().collect();
        let through = Position { revision, ..told };
        Some(Self { through, named, revisions: revisions.into_iter().collect(), list: None, waiting })
    }

    /// The next of those concerned, and whether they are the last.
    async fn next(&mut self, store: &Store, tenant: &TenantId) -> Result<(Vec<UserId>, bool), Error> {
        // One more than are told, to know whether any are left.
        while self.waiting.len() <= PART {
            let Some(users) = self.listed(store, tenant).await? else { break };
            self.waiting.extend(users.into_iter().filter(|user| !self.named.contains(user)));
        }
        let rest = self.waiting.split_off(self.waiting.len().min(PART));
        let users = std::mem::replace(&mut self.waiting, rest);
        Ok((users, self.waiting.is_empty()))
    }

    async fn listed(&mut self, store: &Store, tenant: &TenantId) -> Result<Option<Vec<UserId>>, Error> {
        loop {
            if let Some(list) = &mut self.list {
                if let Some(users) = list.next().await? {
                    return Ok(Some(users));
                }
                self.list = None;
            }
            let Some(revision) = self.revisions.pop_front() else { return Ok(None) };
            self.list = Some(store.affected(tenant, Position { revision, ..self.through }).await?);
        }
    }
}

/// Whom a page of the feed concerns.
#[derive(Debug, PartialEq, Eq)]
struct Concerned {
    /// By name.
    named: BTreeSet<UserId>,
    /// Through a group or the ground that changed in these.
    revisions: BTreeSet<Revision>,
}

impl Concerned {
    /// Of the changes of one group the last will do: who was in it at an earlier one and is not any more left it since, or
    /// a group through which it was in it did. That is a change of its own, of the one who left.
    fn by(changes: &[Change]) -> Self {
        let (mut named, mut revisions, mut groups) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for Change { revision, stamps } in changes {
            match stamps {
                Stamps::Ground => {
                    revisions.insert(*revision);
                }
                Stamps::Some(stamped) => {
                    for dependency in stamped {
                        match dependency {
                            Dependency::User(id) => drop(named.insert(*id)),
                            Dependency::Group(id) => drop(groups.insert(*id, *revision)),
                        }
                    }
                }
            }
        }
        revisions.extend(groups.into_values());
        Self { named, revisions }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::id::{GroupId, UserId};
    use domain::revision::Revision;
    use proptest::prelude::*;

    use super::Concerned;
    use crate::cache::{Change, Dependency, Stamps};

    const USERS: usize = 3;
    const GROUPS: usize = 4;

    /// One change of a history.
    #[derive(Clone, Debug)]
    enum Event {
        /// A user joins or leaves a group.
        User(usize, usize),
        /// A group joins or leaves a later one, so that there are no cycles.
        Group(usize, usize),
        /// A group's labels change.
        Label(usize),
        /// A group is deleted, and with it all that ties it to others.
        Delete(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (0..USERS, 0..GROUPS).prop_map(|(user, group)| Event::User(user, group)),
            3 => (0..GROUPS - 1, 1..GROUPS).prop_map(|(inner, by)| Event::Group(inner, GROUPS.min(inner + by + 1) - 1)),
            4 => (0..GROUPS).prop_map(Event::Label),
            1 => (0..GROUPS).prop_map(Event::Delete),
        ]
    }

    /// Who is in what: users by number, groups by number above them.
    type Members = BTreeSet<(usize, usize)>;

    fn inside(members: &Members, group: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([USERS + group]);
        loop {
            let more: BTreeSet<_> =
                members.iter().filter(|(_, of)| found.contains(&(USERS + of))).map(|(member, _)| *member).collect();
            if more.is_subset(&found) {
                return found.into_iter().filter(|member| *member < USERS).collect();
            }
            found.extend(more);
        }
    }

    proptest! {
        /// Whoever any change of a page concerns, as memberships were just before and just after it, is named by the page
        /// or listed for one of the revisions that are asked about.
        #[test]
        fn nobody_whom_a_page_concerns_is_left_out(events in prop::collection::vec(event(), 1..40)) {
            let users: [_; USERS] = std::array::from_fn(|_| UserId::new());
            let groups: [_; GROUPS] = std::array::from_fn(|_| GroupId::new());
            let (mut members, mut changes, mut concerned) = (Members::new(), Vec::new(), BTreeMap::new());
            for (at, event) in events.iter().enumerate() {
                let (revision, before) = (Revision(at as u64 + 1), members.clone());
                let mut toggle = |member, of| if !members.remove(&(member, of)) { members.insert((member, of)); };
                let stamp = match *event {
                    Event::User(user, group) => {
                        toggle(user, group);
                        Dependency::User(users[user])
                    }
                    Event::Group(inner, outer) => {
                        toggle(USERS + inner, outer);
                        Dependency::Group(groups[inner])
                    }
                    Event::Label(group) => Dependency::Group(groups[group]),
                    Event::Delete(group) => {
                        members.retain(|(member, of)| *member != USERS + group && *of != group);
                        Dependency::Group(groups[group])
                    }
                };
                let by = |members: &Members| match *event {
                    Event::User(user, _) => BTreeSet::from([user]),
                    Event::Group(group, _) | Event::Label(group) | Event::Delete(group) => inside(members, group),
                };
                let whom: BTreeSet<_> = by(&before).union(&by(&members)).copied().collect();
                concerned.insert(revision, whom);
                changes.push(Change { revision, stamps: Stamps::Some(vec![stamp]) });
            }
            let Concerned { named, revisions } = Concerned::by(&changes);
            let mut told: BTreeSet<_> = (0..USERS).filter(|user| named.contains(&users[*user])).collect();
            told.extend(revisions.iter().flat_map(|revision| &concerned[revision]));
            let all: BTreeSet<_> = concerned.values().flatten().copied().collect();
            prop_assert_eq!(told, all);
        }
    }
}
