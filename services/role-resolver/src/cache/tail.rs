//! Following the feed of every tenant that is asked about. One replica each, kept up to the head, so that a read is told
//! from memory alone whether a kept set still stands.
//!
//! The heads that identity-store announces are hints; reading the feed is what moves a position and what confirms it as
//! the head, from the moment the question was asked. A tenant nobody asks about is followed by hints alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::id::TenantId;
use domain::revision::{Epoch, Position, Revision, RevisionKey};
use parking_lot::RwLock;
use runtime::error::{Error, Reason};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::counts::Counts;
use super::near::Kept;
use super::replica::{Change, Gap, Replica};
use super::rule::{Span, agree, span};
use crate::peers::Store;

/// The heartbeat comes at least every ten seconds; a stream silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait before a lost stream is begun again, or a failed read repeated.
const PAUSE: Duration = Duration::from_millis(500);
/// How far behind the head a replica begins, so that older entries of a shared cache are good from the start.
const REPLAYED: u64 = 1_000;

/// How the feed is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following {
    /// How long a position counts as the head after it was confirmed.
    pub(crate) bound: Duration,
    /// The most stamps remembered of a tenant.
    pub(crate) stamps: usize,
    /// The defence that a test turns off.
    #[cfg(test)]
    pub(crate) without: Option<super::Defence>,
}

impl Following {
    fn replica(self, at: Position) -> Replica {
        #[cfg_attr(not(test), expect(unused_mut, reason = "only tests turn defences off"))]
        let mut replica = Replica::new(at, self.stamps);
        #[cfg(test)]
        {
            replica.without = self.without;
        }
        replica
    }
}

/// Some of the feed.
#[derive(Clone, Debug)]
pub(crate) struct FeedPage {
    /// What follows the position asked from.
    pub(crate) changes: Vec<Change>,
    /// Where the tenant stood when it was read.
    pub(crate) head: Position,
}

/// Where tenants stand, as one message of the heartbeat says.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    /// The life of the database.
    pub(crate) epoch: Epoch,
    /// The heads that moved, or all.
    pub(crate) tenants: Vec<(TenantId, Revision)>,
}

/// All tenants that are followed. Dropping it ends the following.
#[derive(Debug)]
pub(crate) struct Tails {
    tenants: Arc<RwLock<HashMap<TenantId, Arc<Tail>>>>,
    store: Store,
    key: RevisionKey,
    following: Following,
    counts: Counts,
    listening: AtomicBool,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Tails {
    pub(crate) fn new(store: Store, key: RevisionKey, following: Following, counts: Counts) -> Self {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let (tenants, listening) = (Arc::default(), AtomicBool::new(false));
        Self { tenants, store, key, following, counts, listening, stop, _stop: guard }
    }

    /// How long a position counts as the head after it was confirmed.
    pub(crate) fn bound(&self) -> Duration {
        self.following.bound
    }

    /// The tenant's, if it is followed.
    pub(crate) fn of(&self, tenant: &TenantId) -> Option<Arc<Tail>> {
        self.tenants.read().get(tenant).cloned()
    }

    /// Takes note of where the store said at `asked` or later that the tenant stands, and begins to follow it if it is
    /// new. `before` is where its replica stood when the store was asked.
    pub(crate) fn hear(
        &self,
        tenant: &TenantId,
        before: Option<Position>,
        told: Position,
        asked: Instant,
    ) -> Arc<Tail> {
        if let Some(tail) = self.of(tenant) {
            tail.hear(before, told, asked, &self.counts);
            return tail;
        }
        let mut tenants = self.tenants.write();
        let entry = tenants.entry(tenant.clone()).or_insert_with(|| {
            let tail = Arc::new(Tail::new(tenant.clone(), told, self.following, self.key.clone()));
            let follower = Follower { tail: Arc::clone(&tail), store: self.store.clone(), counts: self.counts.clone() };
            let stop = self.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(follower.run()).await });
            tail
        });
        let tail = Arc::clone(entry);
        drop(tenants);
        if !self.listening.swap(true, Ordering::Relaxed) {
            let (store, tenants, stop) = (self.store.clone(), Arc::clone(&self.tenants), self.stop.clone());
            tokio::spawn(async move { stop.run_until_cancelled(listen(store, tenants)).await });
        }
        tail
    }
}

/// Listens to the heartbeat and wakes those whose tenant has moved; begins again whenever it falls silent.
async fn listen(store: Store, tenants: Arc<RwLock<HashMap<TenantId, Arc<Tail>>>>) {
    loop {
        let heard = async {
            let mut heads = store.watch_heads().await?;
            while let Ok(heard) = tokio::time::timeout(SILENCE, heads.next()).await {
                let Some(Heads { epoch, tenants: moved }) = heard? else { break };
                let followed = tenants.read();
                for (tenant, revision) in moved {
                    if let Some(tail) = followed.get(&tenant)
                        && tail.position() != (Position { epoch, revision })
                    {
                        tail.wake.notify_one();
                    }
                }
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = heard.await {
            tracing::debug!(reason = %error.reason(), "the heartbeat of identity-store stopped");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One tenant's replica, as readers share it with the one who follows the feed.
#[derive(Debug)]
pub(crate) struct Tail {
    tenant: TenantId,
    key: RevisionKey,
    following: Following,
    known: RwLock<Known>,
    used: AtomicBool,
    wake: Notify,
    moved: watch::Sender<Position>,
    sealed: RwLock<(Position, Arc<str>)>,
}

#[derive(Debug)]
struct Known {
    replica: Replica,
    /// The last moment at which the position was the head.
    confirmed: Option<Instant>,
    /// Raised whenever all that was kept must go: kept sets remember in which life they were made.
    life: u64,
    /// Whether the store went back without a new epoch: entries of its lost future can't be told from those of now, so
    /// that what others keep is not believed in this epoch any more.
    went_back: bool,
}

impl Known {
    fn span(&self, kept: &Kept) -> Option<Span> {
        (kept.life() == self.life).then(|| span(kept.right_at(), kept.entry().dependencies(), &self.replica)).flatten()
    }
}

/// Where a tenant's replica stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Up to where everything is known.
    pub(crate) position: Position,
    /// The last moment at which that was the head, as far as is known.
    pub(crate) confirmed: Option<Instant>,
    /// In which life of what is kept.
    pub(crate) life: u64,
    /// Whether entries that others made may be used.
    pub(crate) shared: bool,
}

impl Tail {
    fn new(tenant: TenantId, head: Position, following: Following, key: RevisionKey) -> Self {
        let start = Position { revision: Revision(head.revision.0.saturating_sub(REPLAYED)), ..head };
        let known = Known { replica: following.replica(start), confirmed: None, life: 0, went_back: false };
        let sealed = RwLock::new((start, key.seal(&tenant, start).into()));
        Self {
            tenant,
            key,
            following,
            known: RwLock::new(known),
            used: AtomicBool::new(true),
            wake: Notify::new(),
            moved: watch::Sender::new(start),
            sealed,
        }
    }

    /// Up to where everything is known.
    pub(crate) fn position(&self) -> Position {
        self.known.read().replica.position()
    }

    /// Where it stands, to one who is about to answer from it.
    pub(crate) fn standing(&self) -> Standing {
        self.used.store(true, Ordering::Relaxed);
        let known = self.known.read();
        Standing {
            position: known.replica.position(),
            confirmed: known.confirmed,
            life: known.life,
            shared: !known.went_back,
        }
    }

    /// Follows the position, for one who passes on what the feed brought; `None` where `most` do so already.
    pub(crate) fn watch(&self, most: usize) -> Option<watch::Receiver<Position>> {
        // Nobody else counts meanwhile.
        let _known = self.known.write();
        (self.moved.receiver_count() < most).then(|| self.moved.subscribe())
    }

    /// The newest state, not before `needed`, in which all of several kept sets are right; they are kept as right there.
    pub(crate) fn agree<'a>(&self, kept: impl Iterator<Item = &'a Kept> + Clone, needed: Revision) -> Option<Position> {
        let known = self.known.read();
        let mut spans = Vec::new();
        let mut one = None;
        for kept in kept.clone() {
            // Most reads are of one set: it needs no list.
            if let Some(before) = one.replace(known.span(kept)?) {
                spans.push(before);
            }
        }
        let revision = agree(spans.into_iter().chain(one), needed)?;
        kept.for_each(|kept| kept.raise(revision));
        Some(Position { revision, ..known.replica.position() })
    }

    /// The states in which a kept set is right, as far as is known here.
    pub(crate) fn span(&self, kept: &Kept) -> Option<Span> {
        self.known.read().span(kept)
    }

    /// The token of a position, for callers to present again.
    pub(crate) fn token(&self, position: Position) -> String {
        {
            let sealed = self.sealed.read();
            if sealed.0 == position {
                return sealed.1.to_string();
            }
        }
        let token = self.key.seal(&self.tenant, position);
        *self.sealed.write() = (position, token.as_str().into());
        token
    }

    /// Has the feed read soon.
    pub(crate) fn hurry(&self) {
        self.wake.notify_one();
    }

    fn hear(&self, before: Option<Position>, told: Position, asked: Instant, counts: &Counts) {
        let stood = self.position();
        if told == stood {
            self.confirm(told, asked);
            return;
        }
        let is_back = |before: Position| before.epoch == told.epoch && before.revision > told.revision;
        if before.is_some_and(is_back) && stood.epoch == told.epoch {
            self.begin_anew(told, true, asked, counts);
        }
        self.hurry();
    }

    fn confirm(&self, position: Position, asked: Instant) {
        let mut known = self.known.write();
        if known.replica.position() == position {
            known.confirmed = known.confirmed.max(Some(asked));
        }
    }

    /// Takes in what the feed said; answers whether the head is reached.
    fn take(&self, page: FeedPage, asked: Instant) -> bool {
        let FeedPage { changes, head } = page;
        let mut known = self.known.write();
        if known.replica.follow(&changes, head) == Err(Gap) {
            tracing::warn!(tenant = %self.tenant, "the feed skipped a revision: what was known of changes is forgotten");
            known.replica = self.following.replica(head);
        }
        let position = known.replica.position();
        // What was confirmed before was another position.
        known.confirmed = (position == head).then_some(asked);
        drop(known);
        self.moved.send_replace(position);
        position == head
    }

    /// Forgets all changes: the feed is lost, or this is another than was followed so far. What was kept goes too where
    /// the store's history is not the one it was made from: where that `is_lost` is proved, or shows in `head`.
    fn begin_anew(&self, head: Position, is_lost: bool, asked: Instant, counts: &Counts) {
        let mut known = self.known.write();
        let before = known.replica.position();
        if head.epoch != before.epoch {
            tracing::error!(tenant = %self.tenant,
                "identity-store's database is in another life, as after a restore from a backup: all that was kept goes");
            known.went_back = false;
        } else if is_lost || head.revision < before.revision {
            tracing::error!(tenant = %self.tenant,
                "the store went back without a new epoch: run `rolecall identity-store restored`");
            known.went_back = true;
        }
        if is_lost || head.epoch != before.epoch || head.revision < before.revision {
            counts.restored();
            known.life += 1;
        }
        known.replica = self.following.replica(head);
        known.confirmed = Some(asked);
        drop(known);
        self.moved.send_replace(head);
    }
}

/// The one who reads a tenant's feed.
struct Follower {
    tail: Arc<Tail>,
    store: Store,
    counts: Counts,
}

impl Follower {
    async fn run(self) {
        let tail = &self.tail;
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::debug!(tenant = %tail.tenant, reason = %error.reason(), "the feed could not be read");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            // Confirmed again before the last confirmation is too old, as long as somebody asks.
            loop {
                tokio::select! {
                    () = tail.wake.notified() => break,
                    () = tokio::time::sleep(tail.following.bound / 2) => {
                        if tail.used.swap(false, Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Reads the feed up to the head.
    async fn catch_up(&self) -> Result<(), Error> {
        let tail = &self.tail;
        loop {
            let (after, asked) = (tail.position(), Instant::now());
            match self.store.read_feed(&tail.tenant, after, 0).await {
                Ok(page) => {
                    self.counts.behind(page.head.revision.0.saturating_sub(after.revision.0));
                    if tail.take(page, asked) {
                        return Ok(());
                    }
                }
                Err(error) => {
                    // That the position is not of the store's history is proved here, wherever the head stands by the time
                    // it is asked for.
                    let is_lost = match error.reason() {
                        Reason::FEED_TRUNCATED | Reason::OUT_OF_RANGE => false,
                        Reason::EPOCH_MISMATCH | Reason::REVISION_AHEAD => true,
                        _ => return Err(error),
                    };
                    let asked = Instant::now();
                    tail.begin_anew(self.store.head(&tail.tenant).await?, is_lost, asked, &self.counts);
                }
            }
        }
    }
}
