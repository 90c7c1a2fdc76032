//! The layer within the process: bounded by bytes, and dropped after a while only so that what nobody asks for makes room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use domain::id::{TenantId, UserId};
use domain::revision::{Position, Revision};
use moka::Expiry;
use moka::sync::Cache;
use prost::bytes::Bytes;

use super::entry::{Entry, NameTag};

/// A kept set. Clones are the same: what is learnt of how long it has been right, all know.
#[derive(Clone, Debug)]
pub(crate) struct Kept(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entry: Entry,
    /// Up to where it is known to be right; it only grows.
    right_at: AtomicU64,
    /// In which life of the tenant's tail it was made.
    life: u64,
    /// Whether it may answer other questions than the one it was made for.
    lasting: bool,
    /// The set as it is answered, once it was.
    written: OnceLock<Bytes>,
}

impl Kept {
    pub(crate) fn new(entry: Entry, life: u64) -> Self {
        Self::of(entry, life, true)
    }

    /// One that is kept for as long as a question is answered and no longer.
    pub(crate) fn for_now(entry: Entry, life: u64) -> Self {
        Self::of(entry, life, false)
    }

    fn of(entry: Entry, life: u64, lasting: bool) -> Self {
        let right_at = AtomicU64::new(entry.right_at.revision.0);
        Self(Arc::new(Inner { entry, right_at, life, lasting, written: OnceLock::new() }))
    }

    /// The set as `write` writes it down, which it does once.
    pub(crate) fn written(&self, write: impl FnOnce(&Entry) -> Bytes) -> &Bytes {
        self.0.written.get_or_init(|| write(&self.0.entry))
    }

    /// Whether it may answer other questions than the one it was made for.
    pub(crate) fn is_lasting(&self) -> bool {
        self.0.lasting
    }

    /// The entry as it was made.
    pub(crate) fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// The newest state it is known to be right at.
    pub(crate) fn right_at(&self) -> Position {
        Position { revision: Revision(self.0.right_at.load(Ordering::Relaxed)), ..self.0.entry.right_at }
    }

    pub(crate) fn life(&self) -> u64 {
        self.0.life
    }

    /// Takes note that it is right at a later revision too.
    pub(crate) fn raise(&self, revision: Revision) {
        if self.0.right_at.load(Ordering::Relaxed) < revision.0 {
            self.0.right_at.fetch_max(revision.0, Ordering::Relaxed);
        }
    }
}

/// The layer.
#[derive(Debug)]
pub(crate) struct Near {
    entries: Cache<(TenantId, UserId), Kept>,
    /// Who was last seen under a name. A hint: the entry itself says whose name it is.
    names: Cache<NameTag, UserId>,
    /// Whether anything is kept at all.
    keeps: bool,
}

/// What a name and its place in the layer take, in bytes.
const NAME: u64 = 128;
/// The share of the layer that names may take, as one part in so many.
const NAMES: u64 = 16;

impl Near {
    /// A layer of at most so many bytes, whose entries are dropped after `ttl` at the latest.
    pub(crate) fn new(bytes: u64, ttl: Duration) -> Self {
        // The set as it is answered is letters, and they take about half of an entry.
        let weight = |_: &(TenantId, UserId), kept: &Kept| {
            let bytes = kept.entry().bytes();
            u32::try_from(bytes + bytes / 2).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder().max_capacity(bytes - bytes / NAMES).weigher(weight).expire_after(Jitter(ttl));
        let names = Cache::builder().max_capacity(bytes / NAMES / NAME).time_to_live(ttl);
        Self { entries: entries.build(), names: names.build(), keeps: bytes > 0 }
    }

    pub(crate) fn get(&self, tenant: &TenantId, user: UserId) -> Option<Kept> {
        self.entries.get(&(tenant.clone(), user))
    }

    /// Who was last seen under a name.
    pub(crate) fn named(&self, name: NameTag) -> Option<UserId> {
        self.names.get(&name)
    }

    /// Keeps a set, unless one that is as new is kept already.
    pub(crate) fn put(&self, tenant: &TenantId, kept: &Kept) {
        if !self.keeps {
            return;
        }
        let (entry, right_at) = (kept.entry(), kept.right_at());
        if self.named(entry.name) != Some(entry.user) {
            self.names.insert(entry.name, entry.user);
        }
        let key = (tenant.clone(), entry.user);
        let newer = |known: &Kept| {
            let at = known.right_at();
            known.life() == kept.life() && at.epoch == right_at.epoch && at.revision >= right_at.revision
        };
        if !self.entries.get(&key).as_ref().is_some_and(newer) {
            self.entries.insert(key, kept.clone());
        }
    }
}

/// Up to a tenth less than the time to live, so that what came together does not go together.
struct Jitter(Duration);

impl Jitter {
    fn time(&self) -> Duration {
        self.0.mul_f64(1.0 - 0.1 * rand::random::<f64>())
    }
}

impl<K, V> Expiry<K, V> for Jitter {
    fn expire_after_create(&self, _: &K, _: &V, _: Instant) -> Option<Duration> {
        Some(self.time())
    }

    fn expire_after_update(&self, _: &K, _: &V, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(self.time())
    }
}

#[cfg(test)]
mod tests {
    use domain::effective::EffectiveSet;
    use domain::revision::Epoch;

    use super::*;
    use crate::cache::entry::CacheKey;

    fn kept(user: UserId, at: u64, life: u64) -> Kept {
        let name = CacheKey::derive(b"key").name(&"acme".parse().unwrap(), &user.to_string());
        let epoch = Epoch::from_slice(&[7; 16]).unwrap();
        let right_at = Position { epoch, revision: Revision(at) };
        Kept::new(Entry { user, name, right_at, groups: Box::default(), set: EffectiveSet::default() }, life)
    }

    #[test]
    fn a_later_set_is_not_replaced_by_an_earlier_one_of_the_same_life() {
        let (near, acme, ann) = (Near::new(1 << 20, Duration::from_hours(1)), "acme".parse().unwrap(), UserId::new());
        let at = || near.get(&acme, ann).unwrap().right_at().revision.0;
        near.put(&acme, &kept(ann, 5, 0));
        near.put(&acme, &kept(ann, 4, 0));
        assert_eq!(at(), 5);
        near.get(&acme, ann).unwrap().raise(Revision(9));
        near.put(&acme, &kept(ann, 8, 0));
        assert_eq!(at(), 9);
        near.put(&acme, &kept(ann, 3, 1));
        assert_eq!(at(), 3, "what was made in another life counts for nothing");
        assert_eq!(near.named(kept(ann, 0, 0).entry().name), Some(ann));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_times_are_only_ever_shortened() {
        let (near, acme) = (Near::new(100_000, Duration::from_hours(1)), "acme".parse().unwrap());
        for _ in 0..10_000 {
            near.put(&acme, &kept(UserId::new(), 1, 0));
        }
        near.entries.run_pending_tasks();
        assert!(near.entries.weighted_size() <= 100_000);
        let jitter = Jitter(Duration::from_secs(100));
        let times: Vec<_> = (0..1_000).map(|_| jitter.time()).collect();
        assert!(times.iter().all(|time| (90.0..=100.0).contains(&time.as_secs_f64())));
        assert!(times.iter().any(|time| time.as_secs_f64() < 95.0));
    }
}
