//! From users to effective sets: those that are kept and still right, and the rest from the store.
//!
//! All sets of one answer belong to one state of the store. Where not every set is kept and right at one revision, the store
//! is asked once about all users of the request: from one snapshot it says which kept sets stand, and what the others are
//! computed from. Holdings name the ground they belong to. If the store has moved on to another ground by the time that is
//! read, the holdings are read again: a set and what it was computed from never mix revisions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::effective::Holding;
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::{Position, Revision, RevisionKey};
use runtime::error::{Error, Reason};
use tokio::time::Instant;

use crate::cache::{
    CacheKey, Counts, Entry, Flights, Kept, NameTag, Near, Shared, Source, Standing, Tail, Tails, Turn,
};
use crate::compute::{Computed, compute};
use crate::consistency::Freshness;
use crate::ground::{Ground, GroundVersion, Grounds};
use crate::peers::{Store, too_large};

/// How often holdings are read again because the ground changed meanwhile. A tenant's ground changes a few times a day.
pub(crate) const READS: usize = 5;

/// How many groups the kept sets may depend on in all that the store is asked about at once.
const GROUPS: usize = 50_000;

/// How much memory the sets may take that are held until the last of their question is read, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// A user, named in one of three ways.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// By SCIM id. A text that is no id names no user.
    Id(String),
    /// By `userName`, without regard to case.
    UserName(String),
    /// By `externalId`, exactly.
    ExternalId(String),
}

/// What the users asked for hold, in that order, all from one snapshot of the store.
#[derive(Debug)]
pub(crate) struct Holdings {
    /// The snapshot.
    pub(crate) position: Position,
    /// The ground that belongs to it.
    pub(crate) ground: GroundVersion,
    /// One for each user asked for; `None` where there is no such user.
    pub(crate) users: Vec<Option<Held>>,
}

/// What the store says of one user.
#[derive(Debug)]
pub(crate) enum Held {
    /// The kept set is still right.
    Unchanged(UserId),
    /// What its set is to be computed from.
    Read(Person),
}

/// What a set is computed from, and what it depends on.
#[derive(Debug)]
pub(crate) struct Person {
    /// The user.
    pub(crate) id: UserId,
    /// Its userName.
    pub(crate) name: String,
    /// Every group it is in, directly or through others.
    pub(crate) groups: Box<[GroupId]>,
    /// Its labels.
    pub(crate) holding: Holding,
}

/// The effective sets of the users asked for, in that order.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The state in which all of them are right.
    pub(crate) position: Position,
    /// The same, for callers to present again.
    pub(crate) token: String,
    /// One for each user asked for; `None` where there is no such user.
    pub(crate) sets: Vec<Option<Kept>>,
    /// When what was known was last asked of the store.
    pub(crate) asked: Instant,
}

/// Whose set is asked for, as flights know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    User(UserId),
    Named(NameTag),
}

/// Answers for labels and grants.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) store: Store,
    pub(crate) key: RevisionKey,
    pub(crate) grounds: Grounds,
    tails: Tails,
    near: Near,
    shared: Option<Shared>,
    cache_key: CacheKey,
    flights: Flights<(TenantId, Whose), Result<Answer, Error>>,
    counts: Counts,
}

/// What a [`Resolver`] keeps sets in.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) tails: Tails,
    pub(crate) near: Near,
    pub(crate) shared: Option<Shared>,
    pub(crate) cache_key: CacheKey,
    /// How long one waits for another who asks the same.
    pub(crate) lease: Duration,
    pub(crate) counts: Counts,
}

/// What is known of a question before the store is asked.
struct Question<'a> {
    tenant: &'a TenantId,
    users: &'a [Who],
    freshness: Freshness,
    tail: Option<Arc<Tail>>,
    standing: Option<Standing>,
    /// What is kept of each user, right or not.
    kept: Vec<Option<Kept>>,
    /// When the question was put.
    put: Instant,
}

impl Question<'_> {
    /// The answer, if every set is kept and they are right in one state that is not before `needed`.
    fn agreed(&mut self, needed: Revision) -> Option<Answer> {
        let (tail, asked) = (self.tail.as_ref()?, self.standing?.confirmed.unwrap_or(self.put));
        if self.kept.iter().any(Option::is_none) {
            return None;
        }
        let position = tail.agree(self.kept.iter().flatten(), needed)?;
        Some(Answer { position, token: tail.token(position), sets: std::mem::take(&mut self.kept), asked })
    }

    /// In which life of the cache.
    fn life(&self) -> u64 {
        self.standing.map_or(0, |standing| standing.life)
    }
}

impl Resolver {
    pub(crate) fn new(store: Store, key: RevisionKey, layers: Layers) -> Self {
        let Layers { tails, near, shared, cache_key, lease, counts } = layers;
        let (grounds, flights) = (Grounds::default(), Flights::new(lease));
        Self { store, key, grounds, tails, near, shared, cache_key, flights, counts }
    }

    /// The effective sets of `users`. One who is named several times is asked about once.
    pub(crate) async fn sets(&self, tenant: &TenantId, users: &[Who], freshness: Freshness) -> Result<Answer, Error> {
        if users.len() < 2 {
            return self.distinct(tenant, users, freshness).await;
        }
        let (mut distinct, mut places) = (Vec::new(), HashMap::new());
        let place = |user| {
            *places.entry(user).or_insert_with(|| {
                distinct.push(Who::clone(user));
                distinct.len() - 1
            })
        };
        let at: Vec<usize> = users.iter().map(place).collect();
        let answer = self.distinct(tenant, &distinct, freshness).await?;
        let sets = at.into_iter().map(|at| answer.sets[at].clone()).collect();
        Ok(Answer { sets, ..answer })
    }

    async fn distinct(&self, tenant: &TenantId, users: &[Who], freshness: Freshness) -> Result<Answer, Error> {
        let mut question = self.question(tenant, users, freshness);
        let (standing, put) = (question.standing, question.put);
        let needed = freshness.needed(standing.as_ref(), put, self.tails.bound());
        if let Some(needed) = needed {
            if let Some(answer) = question.agreed(needed) {
                self.counts.answered(Source::Near);
                return Ok(answer);
            }
            if self.look_further(&mut question, needed).await
                && let Some(answer) = question.agreed(needed)
            {
                self.counts.answered(Source::Shared);
                return Ok(answer);
            }
        }
        let Some(whose) = self.whose(&question) else { return self.ask(&question).await };
        let mut failed = None;
        loop {
            match self.flights.join(&(tenant.clone(), whose.clone())).await {
                Turn::Fly(flight) => {
                    let answer = self.ask(&question).await;
                    flight.land(answer.clone());
                    return answer;
                }
                Turn::Told(Ok(answer)) if self.will_do(&question, needed, &answer) => {
                    self.counts.answered(Source::Flight);
                    return Ok(answer);
                }
                // Another's token or time may have been the fault. So one of those who were told asks again, and if that
                // fails too, it is the store's.
                Turn::Told(Err(error)) if failed.replace(error.clone()).is_none() => {}
                Turn::Told(Err(error))
                    if ![Reason::EPOCH_MISMATCH, Reason::REVISION_AHEAD].contains(&error.reason()) =>
                {
                    return Err(error);
                }
                Turn::Told(_) | Turn::Alone => return self.ask(&question).await,
            }
        }
    }

    /// Where the tenant stands, and the tail that follows it from now on.
    pub(crate) async fn follow(&self, tenant: &TenantId) -> Result<(Position, Arc<Tail>), Error> {
        let before = self.tails.of(tenant).map(|tail| tail.position());
        let asked = Instant::now();
        let head = self.store.head(tenant).await?;
        Ok((head, self.tails.hear(tenant, before, head, asked)))
    }

    /// A question, with what is kept here of its users.
    fn question<'a>(&self, tenant: &'a TenantId, users: &'a [Who], freshness: Freshness) -> Question<'a> {
        let tail = self.tails.of(tenant);
        let standing = tail.as_ref().map(|tail| tail.standing());
        let life = standing.map_or(0, |standing| standing.life);
        let kept = users.iter().map(|user| self.kept(tenant, user).filter(|kept| kept.life() == life)).collect();
        Question { tenant, users, freshness, tail, standing, kept, put: Instant::now() }
    }

    /// Whether what another was told, who may have asked before this question was put, is fresh enough.
    fn will_do(&self, question: &Question<'_>, needed: Option<Revision>, answer: &Answer) -> bool {
        let Position { epoch, revision } = answer.position;
        let known = question.standing.is_none_or(|standing| standing.position.epoch == epoch);
        known
            && needed.is_none_or(|needed| revision >= needed)
            && match question.freshness {
                Freshness::Latency => answer.asked.elapsed() < self.tails.bound(),
                Freshness::AtLeast(wanted) => wanted.epoch == epoch && revision >= wanted.revision,
                Freshness::Head => false,
            }
    }

    /// What this process keeps of a user. Of several users with one externalId none is meant, and no stamp tells of another
    /// who takes it up: so that is asked of the store each time.
    fn kept(&self, tenant: &TenantId, user: &Who) -> Option<Kept> {
        match user {
            Who::Id(id) => self.near.get(tenant, id.parse().ok()?),
            Who::UserName(name) => {
                let tag = self.cache_key.name(tenant, name);
                self.near.get(tenant, self.near.named(tag)?).filter(|kept| kept.entry().name == tag)
            }
            Who::ExternalId(_) => None,
        }
    }

    /// The one user asked about, if another's question may be the same. Who wants the head asks after putting the question.
    fn whose(&self, question: &Question<'_>) -> Option<Whose> {
        #[cfg(test)]
        if self.cache_key.without == Some(crate::cache::Defence::SingleFlight) {
            return None;
        }
        match question.users {
            _ if question.freshness == Freshness::Head => None,
            [Who::Id(id)] => Some(Whose::User(id.parse().ok()?)),
            [Who::UserName(name)] => Some(Whose::Named(self.cache_key.name(question.tenant, name))),
            _ => None,
        }
    }

    /// Looks into the shared cache for what is not kept here, or not right late enough. Answers whether it had any.
    async fn look_further(&self, question: &mut Question<'_>, needed: Revision) -> bool {
        let (Some(shared), Some(tail), Some(standing)) = (&self.shared, &question.tail, &question.standing) else {
            return false;
        };
        if !standing.shared {
            return false;
        }
        let mut missing = Vec::new();
        for (at, (user, kept)) in question.users.iter().zip(&question.kept).enumerate() {
            if kept.as_ref().and_then(|kept| tail.span(kept)).is_some_and(|span| span.to >= needed) {
                continue;
            }
            let (id, tag) = match user {
                Who::Id(id) => (id.parse().ok(), None),
                Who::UserName(name) => {
                    let tag = self.cache_key.name(question.tenant, name);
                    (self.near.named(tag), Some(tag))
                }
                Who::ExternalId(_) => (None, None),
            };
            if let Some(id) = id {
                missing.push((at, id, tag));
            }
        }
        if missing.is_empty() {
            return false;
        }
        let ids: Vec<_> = missing.iter().map(|(_, id, _)| *id).collect();
        let found = shared.get(question.tenant, &ids).await;
        let mut any = false;
        for ((at, _, tag), entry) in missing.into_iter().zip(found) {
            let Some(entry) = entry.filter(|entry| tag.is_none_or(|tag| entry.name == tag)) else { continue };
            let known = question.kept[at].as_ref().map(Kept::right_at);
            let later =
                |known: Position| known.epoch == entry.right_at.epoch && known.revision >= entry.right_at.revision;
            if entry.right_at.epoch == standing.position.epoch && !known.is_some_and(later) {
                let kept = Kept::new(entry, standing.life);
                self.near.put(question.tenant, &kept);
                question.kept[at] = Some(kept);
                any = true;
            }
        }
        any
    }

    /// The sets of as many of the first users as may be held at a time; of one at least.
    pub(crate) async fn first_sets(
        &self,
        tenant: &TenantId,
        users: &[UserId],
        freshness: Freshness,
    ) -> Result<Answer, Error> {
        let mut users: Vec<_> = users.iter().map(|id| Who::Id(id.to_string())).collect();
        loop {
            match self.sets(tenant, &users, freshness).await {
                Err(error) if error.reason() == Reason::TOO_LARGE && users.len() > 1 => {
                    users.truncate(users.len().div_ceil(2));
                }
                answer => return answer,
            }
        }
    }

    /// Asks the store. Where its answer would be larger than a message may be, parts of the question are put one by one, and
    /// then all of it: what was learnt of the parts, and still stands, need not be said again.
    async fn ask(&self, question: &Question<'_>) -> Result<Answer, Error> {
        match self.ask_at_once(question).await {
            Err(error) if error.reason() == Reason::TOO_LARGE && question.users.len() > 1 => {}
            answer => return answer,
        }
        let Question { tenant, users, freshness, .. } = question;
        let (mut learnt, mut bytes) = (Vec::with_capacity(users.len()), 0);
        for part in users.chunks(users.len().div_ceil(2)) {
            let part = self.question(tenant, part, *freshness);
            let sets = Box::pin(self.ask(&part)).await?.sets;
            bytes += sets.iter().flatten().map(|set| set.entry().bytes()).sum::<usize>();
            if bytes > MOST_BYTES {
                return Err(too_large());
            }
            learnt.extend(sets);
        }
        let whole = self.question(tenant, users, *freshness);
        let kept = learnt.into_iter().map(|kept| kept.filter(|kept| kept.life() == whole.life())).collect();
        self.ask_at_once(&Question { kept, ..whole }).await
    }

    /// Asks the store once: which of the kept sets stand, and what the others are.
    async fn ask_at_once(&self, question: &Question<'_>) -> Result<Answer, Error> {
        let Question { tenant, users, freshness, standing, .. } = question;
        let before = standing.map(|standing| standing.position);
        let mut kept: BTreeMap<UserId, &Kept> = BTreeMap::new();
        // What was kept in another life of the database says nothing in this one.
        let of_now = |kept: &&Kept| before.is_some_and(|before| before.epoch == kept.right_at().epoch);
        let mut groups = 0;
        // What would take more to ask about than to read again is read again.
        let few = |kept: &&Kept| {
            groups += kept.entry().groups.len();
            groups <= GROUPS
        };
        let known = question.kept.iter().flatten().filter(of_now).filter(few);
        kept.extend(known.map(|kept| (kept.entry().user, kept)));
        for _ in 0..READS {
            let asked = Instant::now();
            let Holdings { position, ground, users: held } =
                self.store.holdings(tenant, users, kept.values().copied()).await?;
            freshness.allows(position)?;
            let tail = self.tails.hear(tenant, before, position, asked);
            let unchanged = held.iter().flatten().any(|held| matches!(held, Held::Unchanged(_)));
            let people = held.iter().flatten().any(|held| matches!(held, Held::Read(_)));
            // The store has begun another life meanwhile, or went back in this one: what it found unchanged may be of a
            // future that it lost.
            let is_of_now = |before: Position| before.epoch == position.epoch && before.revision <= position.revision;
            if unchanged && (!before.is_some_and(is_of_now) || tail.standing().life != question.life()) {
                kept.clear();
                continue;
            }
            let ground = if people {
                let read = self.grounds.at_least(&self.store, tenant, ground).await?;
                if read.version != ground {
                    continue;
                }
                Some(read)
            } else {
                None
            };
            let life = if before.is_some() { question.life() } else { tail.standing().life };
            let sets = self.settle(held, &kept, ground, position, (tenant, life)).await?;
            for set in sets.iter().flatten().filter(|set| set.is_lasting()) {
                self.near.put(tenant, set);
                if let Some(shared) = &self.shared {
                    shared.put(tenant, set);
                }
            }
            self.counts.answered(if people { Source::Computed } else { Source::Compared });
            return Ok(Answer { position, token: tail.token(position), sets, asked });
        }
        Err(ground_moves())
    }

    /// The sets that follow from what the store said at `position`.
    async fn settle(
        &self,
        held: Vec<Option<Held>>,
        kept: &BTreeMap<UserId, &Kept>,
        ground: Option<Arc<Ground>>,
        position: Position,
        (tenant, life): (&TenantId, u64),
    ) -> Result<Vec<Option<Kept>>, Error> {
        let mut sets = Vec::with_capacity(held.len());
        let mut people = Vec::new();
        for (at, held) in held.into_iter().enumerate() {
            sets.push(match held {
                None => None,
                Some(Held::Unchanged(user)) => {
                    let kept = kept.get(&user).ok_or_else(|| {
                        Error::new(Reason::INTERNAL, "identity-store found a set unchanged that nobody keeps")
                    })?;
                    kept.raise(position.revision);
                    Some((*kept).clone())
                }
                Some(Held::Read(person)) => {
                    people.push((at, person));
                    None
                }
            });
        }
        let Some(ground) = ground else { return Ok(sets) };
        for Computed { at, id, name, groups, set, whole } in compute(people, ground).await? {
            let name = self.cache_key.name(tenant, &name);
            let entry = Entry { user: id, name, right_at: position, groups, set };
            sets[at] = Some(if whole { Kept::new(entry, life) } else { Kept::for_now(entry, life) });
        }
        Ok(sets)
    }
}

/// The ground changed between every two reads.
pub(crate) fn ground_moves() -> Error {
    let message = "the tenant's catalogue, rules or settings change too fast to read beside them";
    Error::new(Reason::UNAVAILABLE, message).retry_after(Duration::from_secs(1))
}
