//! Taking away overtakes everything else: a dismissal never waits until the feed before it is dealt with.
//!
//! The follower deals with the feed in order, and may be far behind. Beside it, this looks at those entries alone that
//! can take access away, whenever the heads say that there are new ones, and makes their accounts due at once. It keeps
//! its place in memory and moves nobody else's: the follower comes to the same entries in its time and finds them stored.
//!
//! Entries about one user go first. Those about groups concern as many as a group has members, so they are stored in
//! portions, and between two portions new entries about users. Changes of ground are nobody's request to take away, and
//! stay with the follower.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::clock::Timestamp;
use domain::revision::Position;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use runtime::error::Error as PeerError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::feed::{Failure, Known, PAGE, PAUSE, Step, starts_over};
use crate::peers::{Concerned, FeedEntry, FeedPage, Head, Identity, Subject};
use crate::store::Store;
use crate::tenants::Tenant;

/// The most lists of members that wait. What is beyond stays with the follower.
const LISTS: usize = 1000;
/// The members stored before new entries are looked for.
const PORTION: usize = 500;

/// What looks ahead.
#[derive(Clone, Debug)]
pub(crate) struct Overtaking {
    pub(crate) identity: Identity,
    pub(crate) store: Store,
}

/// How far one tenant has been looked ahead. Lost with the process: it begins again where the follower stands.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    place: Option<Position>,
    lists: VecDeque<List>,
}

/// Those whom a change of a group concerns, as they are told.
struct List {
    position: Position,
    at: Timestamp,
    told: Option<BoxStream<'static, Result<Vec<Subject>, PeerError>>>,
    /// Told and not yet stored.
    rest: Vec<Subject>,
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Overtaking {
    /// Looks ahead until `stop`.
    pub(crate) async fn run(self, tenant: Arc<Tenant>, mut known: watch::Receiver<Known>, stop: CancellationToken) {
        let mut ahead = Ahead::default();
        while !stop.is_cancelled() {
            let news = known.borrow_and_update().head(&tenant.id);
            let looked = match news {
                Some((position, head)) => {
                    let look = self.look(&tenant, &mut ahead, position, head);
                    stop.run_until_cancelled(look).await.unwrap_or(Ok(Step::Rest))
                }
                None => Ok(Step::Rest),
            };
            let failed = looked.is_err();
            if let Err(error) = &looked {
                tracing::warn!(tenant = %tenant.id, error = %runtime::error::Chain(error), "the feed could not be read ahead");
            }
            if let Ok(Step::More) = looked {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE), if failed => {}
                changed = known.changed(), if !failed => if changed.is_err() { return },
            }
        }
    }

    /// Stores what is new about users, and a portion of those whom changes of groups concern.
    pub(crate) async fn look(
        &self,
        tenant: &Tenant,
        ahead: &mut Ahead,
        position: Position,
        head: Head,
    ) -> Result<Step, Failure> {
        let looked = match self.users(tenant, ahead, position, head).await {
            Ok(()) => self.members(tenant, ahead).await,
            Err(error) => Err(error),
        };
        match looked {
            // The follower starts over from all users as they are from now on: only what is newer can overtake that.
            Err(Failure::Peer(error)) if starts_over(&error) => {
                *ahead = Ahead { place: Some(position), lists: VecDeque::new() };
                Ok(Step::Rest)
            }
            Err(error) => {
                // What was being told is told again from the beginning.
                if let Some(list) = ahead.lists.front_mut() {
                    (list.told, list.rest) = (None, Vec::new());
                }
                Err(error)
            }
            looked => looked,
        }
    }

    /// Reads up to the newest entry that takes away, and stores those about users.
    async fn users(&self, tenant: &Tenant, ahead: &mut Ahead, position: Position, head: Head) -> Result<(), Failure> {
        let newest = Position { revision: head.taken_away, ..position };
        if ahead.place.is_some_and(|place| place.covers(newest)) {
            return Ok(());
        }
        let followed = self.store.position(&tenant.id).await?;
        let places = [ahead.place, followed].into_iter().flatten().filter(|place| place.epoch == position.epoch);
        // Without a place in this feed the follower starts over.
        let mut place = places.max_by_key(|place| place.revision).unwrap_or(position);
        while !place.covers(newest) {
            let FeedPage { entries, through } = self.identity.read_feed(&tenant.id, place, PAGE, true).await?;
            if place.covers(through) {
                break;
            }
            let mut changes = Vec::new();
            for FeedEntry { revision, at, takes_away, concerned } in entries {
                let position = Position { revision, ..place };
                match concerned {
                    Concerned::User(subject) => changes.push(subject.changed(position, at, takes_away)),
                    Concerned::Members => ahead.list(position, at),
                    Concerned::Ground => {}
                }
            }
            if !changes.is_empty() {
                self.store.overtake(&tenant.id, changes).await?;
                tenant.work.notify_one();
            }
            place = through;
        }
        ahead.place = Some(place);
        Ok(())
    }

    /// Stores some of those whom the oldest change of a group concerns.
    async fn members(&self, tenant: &Tenant, ahead: &mut Ahead) -> Result<Step, Failure> {
        let Some(list) = ahead.lists.front_mut() else { return Ok(Step::Rest) };
        let told = if let Some(told) = &mut list.told {
            told
        } else {
            if self.store.position(&tenant.id).await?.is_some_and(|place| place.covers(list.position)) {
                // The follower has come by.
                ahead.lists.pop_front();
                return Ok(Step::More);
            }
            list.told.insert(self.identity.affected(&tenant.id, list.position).await?.boxed())
        };
        if list.rest.is_empty() {
            let Some(subjects) = told.next().await.transpose()? else {
                ahead.lists.pop_front();
                return Ok(Step::More);
            };
            list.rest = subjects;
        }
        let rest = list.rest.split_off(list.rest.len().min(PORTION));
        let portion = std::mem::replace(&mut list.rest, rest);
        let change = |subject: Subject| subject.changed(list.position, list.at, true);
        self.store.overtake(&tenant.id, portion.into_iter().map(change).collect()).await?;
        tenant.work.notify_one();
        Ok(Step::More)
    }
}

impl Ahead {
    fn list(&mut self, position: Position, at: Timestamp) {
        let is_listed = self.lists.back().is_some_and(|list| list.position == position);
        if !is_listed && self.lists.len() < LISTS {
            self.lists.push_back(List { position, at, told: None, rest: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests;
