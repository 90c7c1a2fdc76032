//! From the feed to the work list. The feed is followed, never trusted to be complete: whoever has fallen behind it, or
//! finds another life of the database, starts over from the list of all users.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::TenantId;
use domain::revision::{Epoch, Position};
use futures_util::{StreamExt as _, TryStreamExt as _};
use runtime::error::{Error as PeerError, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Counts, RESTORED};
use crate::peers::{Concerned, FeedEntry, FeedPage, Head, Heads, Identity, Subject};
use crate::store::Store;
use crate::tenants::Tenant;

/// The heartbeat comes at least every ten seconds; a stream silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait before a lost stream is begun again, or a failed read repeated.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);
/// The least time between two looks at the feed: what comes meanwhile is stored and pushed together. What takes access
/// away does not wait for it: that is looked for by itself.
const GATHER: Duration = Duration::from_millis(10);
/// Revisions in one read.
pub(crate) const PAGE: u32 = 500;

/// Where all tenants stand, as last heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    epoch: Option<Epoch>,
    heads: BTreeMap<TenantId, Head>,
}

impl Known {
    fn hear(&mut self, heard: Heads) {
        let Heads { epoch, tenants, complete } = heard;
        if complete || self.epoch != Some(epoch) {
            self.heads.clear();
        }
        self.epoch = Some(epoch);
        self.heads.extend(tenants);
    }

    pub(crate) fn head(&self, tenant: &TenantId) -> Option<(Position, Head)> {
        let head = *self.heads.get(tenant)?;
        Some((Position { epoch: self.epoch?, revision: head.revision }, head))
    }
}

/// Listens to the heartbeat until `stop`, and begins again whenever it falls silent.
pub(crate) async fn listen(identity: Identity, known: watch::Sender<Known>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            Err(error) = hear(&identity, &known) => {
                tracing::debug!(reason = %error.reason(), "the heartbeat of identity-store stopped");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn hear(identity: &Identity, known: &watch::Sender<Known>) -> Result<std::convert::Infallible, PeerError> {
    let mut heads = std::pin::pin!(identity.watch().await?);
    loop {
        let heard = tokio::time::timeout(SILENCE, heads.next()).await.ok().flatten();
        let heard = heard.ok_or_else(|| PeerError::new(Reason::UNAVAILABLE, "the heartbeat fell silent"))??;
        known.send_modify(|known| known.hear(heard));
    }
}

/// What went wrong while following. Neither loses anything: the position has not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("identity-store failed")]
    Peer(#[from] PeerError),
    #[error("the pusher's own tables failed")]
    Store(#[from] sql::Error),
}

/// Whether who reads on from its place can't: the feed has forgotten it, or is another's.
pub(crate) fn starts_over(error: &PeerError) -> bool {
    [Reason::FEED_TRUNCATED, Reason::OUT_OF_RANGE, Reason::EPOCH_MISMATCH, Reason::REVISION_AHEAD]
        .contains(&error.reason())
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is.
    More,
    /// Not before something happens.
    Rest,
}

/// One tenant's place in the feed.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) identity: Identity,
    pub(crate) store: Store,
    pub(crate) counts: Counts,
}

impl Follower {
    /// Follows the heads until `stop`.
    pub(crate) async fn run(
        self,
        tenant: std::sync::Arc<Tenant>,
        mut known: watch::Receiver<Known>,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let head = known.borrow_and_update().head(&tenant.id);
            let followed = match head {
                Some((position, head)) => {
                    if head.catalogue_wanted > head.catalogue_served {
                        tenant.catalogue.notify_one();
                    }
                    // Cut short, it begins again from where it stood.
                    stop.run_until_cancelled(self.catch_up(&tenant, position)).await.unwrap_or(Ok(()))
                }
                None => Ok(()),
            };
            let failed = followed.is_err();
            if let Err(error) = followed {
                tracing::warn!(tenant = %tenant.id, error = %runtime::error::Chain(&error), "the feed could not be read");
            }
            let next = async {
                if failed {
                    tokio::time::sleep(PAUSE).await;
                    return Ok(());
                }
                tokio::time::sleep(GATHER).await;
                known.changed().await
            };
            let Some(Ok(())) = stop.run_until_cancelled(next).await else { return };
        }
    }

    /// Deals with everything up to `head`.
    pub(crate) async fn catch_up(&self, tenant: &Tenant, head: Position) -> Result<(), Failure> {
        let Some(mut position) = self.store.position(&tenant.id).await? else {
            return self.start_over(tenant, head).await;
        };
        while position != head {
            let page = match self.identity.read_feed(&tenant.id, position, PAGE, false).await {
                Ok(page) => page,
                Err(error) => match error.reason() {
                    Reason::FEED_TRUNCATED | Reason::OUT_OF_RANGE => {
                        tracing::warn!(tenant = %tenant.id, "fallen behind the feed: starting over from all users");
                        return self.start_over(tenant, head).await;
                    }
                    Reason::EPOCH_MISMATCH | Reason::REVISION_AHEAD => {
                        self.counts.alert(tenant.id.as_str(), RESTORED);
                        tracing::error!(tenant = %tenant.id,
                            "identity-store's database is not the one followed so far, as after a restore from a backup: \
                             everything is pushed again");
                        return self.start_over(tenant, head).await;
                    }
                    _ => return Err(error.into()),
                },
            };
            if page.through == position {
                break;
            }
            position = self.digest(tenant, page).await?;
            tenant.work.notify_one();
        }
        Ok(())
    }

    /// Stores what a page caused and moves on to its end.
    async fn digest(&self, tenant: &Tenant, page: FeedPage) -> Result<Position, Failure> {
        let FeedPage { entries, through } = page;
        let epoch = through.epoch;
        let mut changes = Vec::with_capacity(entries.len());
        // What one part of a revision takes away, it takes away from those whom the whole revision concerns.
        let taking: BTreeSet<_> = entries.iter().filter(|entry| entry.takes_away).map(|entry| entry.revision).collect();
        let mut asked = None;
        for FeedEntry { revision, at, takes_away, concerned } in entries {
            let position = Position { epoch, revision };
            match concerned {
                Concerned::User(subject) => changes.push(subject.changed(position, at, takes_away)),
                // The entries of one revision concern the same users: one question is enough. Its answer may be as long
                // as a tenant, so it is stored as it comes, after what came before it.
                Concerned::Members | Concerned::Ground if asked != Some(revision) => {
                    asked = Some(revision);
                    self.store.enqueue(&tenant.id, std::mem::take(&mut changes)).await?;
                    let takes_away = taking.contains(&revision);
                    let change = |subject: Subject| subject.changed(position, at, takes_away);
                    let mut portions = std::pin::pin!(self.identity.affected(&tenant.id, position).await?);
                    while let Some(users) = portions.try_next().await? {
                        self.store.enqueue(&tenant.id, users.into_iter().map(change).collect()).await?;
                        tenant.work.notify_one();
                    }
                }
                Concerned::Members | Concerned::Ground => {}
            }
        }
        self.store.advance(&tenant.id, changes, through).await?;
        Ok(through)
    }

    /// Everything that is known, and everyone there is, is looked at again. `head` is where the tenant stood before: what
    /// is read from now on is not older.
    async fn start_over(&self, tenant: &Tenant, head: Position) -> Result<(), Failure> {
        let mut portions = std::pin::pin!(self.identity.everyone(&tenant.id).await?);
        let mut begun = None;
        while let Some((position, users)) = portions.try_next().await? {
            if begun.is_none() {
                self.store.begin_resync(&tenant.id, position).await?;
                begun = Some(position);
            }
            let change = |subject: Subject| subject.changed(position, Timestamp(0), false);
            self.store.enqueue(&tenant.id, users.into_iter().map(change).collect()).await?;
        }
        if begun.is_none() {
            // Nobody is there. Those we know are asked for one by one before anything is taken from them.
            self.store.begin_resync(&tenant.id, head).await?;
        }
        let position = begun.unwrap_or(head);
        self.store.end_resync(&tenant.id, position).await?;
        tenant.work.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::revision::Revision;

    use super::*;

    #[test]
    fn heads_are_remembered_until_the_epoch_changes_or_all_are_told() {
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let head = |revision| Head {
            revision: Revision(revision),
            taken_away: Revision(0),
            catalogue_wanted: 0,
            catalogue_served: 0,
        };
        let (one, two) = (Epoch::new(), Epoch::new());
        let mut known = Known::default();
        known.hear(Heads { epoch: one, tenants: vec![(a.clone(), head(1)), (b.clone(), head(2))], complete: true });
        known.hear(Heads { epoch: one, tenants: vec![(a.clone(), head(3))], complete: false });
        assert_eq!(known.head(&a).unwrap().0, Position { epoch: one, revision: Revision(3) });
        assert_eq!(known.head(&b).unwrap().0.revision, Revision(2));
        known.hear(Heads { epoch: two, tenants: vec![(b.clone(), head(1))], complete: false });
        assert!(known.head(&a).is_none());
        assert_eq!(known.head(&b).unwrap().0.epoch, two);
    }
}
