//! From users to effective sets: reads everything they depend on as of one revision, then computes.
//!
//! Holdings are read first and name the ground they belong to. If the store has moved on to another ground by the time
//! that is read, the holdings are read again: a set and what it was computed from never mix revisions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::effective::{EffectiveSet, Holding, resolve};
use domain::id::{TenantId, UserId};
use domain::label::Label;
use domain::matching::{SUGGESTED, Unmatched, match_label};
use domain::revision::{Position, RevisionKey};
use runtime::error::{Error, Reason};

use crate::consistency::Freshness;
use crate::ground::{Ground, GroundVersion, Grounds};
use crate::store::Store;

/// How often holdings are read again because the ground changed meanwhile. A tenant's ground changes a few times a day.
const READS: usize = 5;

/// When to ask again for what only the first read of the catalogue can tell.
const CATALOGUE_SOON: Duration = Duration::from_secs(5);

/// A user, named in one of three ways.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(crate) users: Vec<Option<(UserId, Holding)>>,
}

/// The effective sets of the users asked for, in that order.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The state they were computed from.
    pub(crate) position: Position,
    /// The same, for callers to present again.
    pub(crate) token: String,
    /// One for each user asked for; `None` where there is no such user.
    pub(crate) sets: Vec<Option<(UserId, EffectiveSet)>>,
}

/// Answers for labels and grants.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) store: Store,
    pub(crate) key: RevisionKey,
    grounds: Grounds,
}

impl Resolver {
    pub(crate) fn new(store: Store, key: RevisionKey) -> Self {
        Self { store, key, grounds: Grounds::default() }
    }

    /// The effective sets of `users`.
    pub(crate) async fn sets(&self, tenant: &TenantId, users: &[Who], freshness: Freshness) -> Result<Answer, Error> {
        for _ in 0..READS {
            let holdings = self.store.holdings(tenant.as_str(), users).await?;
            freshness.allows(holdings.position)?;
            let ground = self.grounds.at_least(&self.store, tenant, holdings.ground).await?;
            if ground.version == holdings.ground {
                let position = holdings.position;
                let sets = compute(holdings.users, ground).await?;
                return Ok(Answer { position, token: self.key.seal(tenant, position), sets });
            }
        }
        Err(Error::new(
            Reason::UNAVAILABLE,
            "the tenant's catalogue, rules or settings change too fast to read beside them",
        )
        .retry_after(Duration::from_secs(1)))
    }

    /// Those of `labels` that would give nothing, in the order asked for.
    pub(crate) async fn unmatched(
        &self,
        tenant: &TenantId,
        labels: Vec<Label>,
    ) -> Result<Vec<(Label, Unmatched)>, Error> {
        let ground = self.grounds.newest(&self.store, tenant).await?;
        aside(move || {
            let catalogue = ground.catalogue.as_ref().ok_or_else(catalogue_missing)?;
            let mut unmatched = Vec::new();
            for label in labels {
                let Err(reason) = match_label(&label, catalogue, &ground.rules) else { continue };
                let why = if unmatched.len() < SUGGESTED {
                    Unmatched::explained(reason, &label, catalogue, &ground.rules)
                } else {
                    Unmatched::because(reason)
                };
                unmatched.push((label, why));
            }
            Ok(unmatched)
        })
        .await
    }
}

async fn compute(
    users: Vec<Option<(UserId, Holding)>>,
    ground: Arc<Ground>,
) -> Result<Vec<Option<(UserId, EffectiveSet)>>, Error> {
    let all = move || users.into_iter().map(|user| user.map(|user| effective(user, &ground)).transpose()).collect();
    aside(all).await
}

fn effective((id, holding): (UserId, Holding), ground: &Ground) -> Result<(UserId, EffectiveSet), Error> {
    let holding = if ground.names_are_labels { holding } else { holding.without_names() };
    let set = match &ground.catalogue {
        Some(catalogue) => resolve(&holding, catalogue, &ground.rules),
        // Without a catalogue nothing can be said of labels; but who has none, or is inactive, has no grants under any.
        None if holding.active && !holding.labels.is_empty() => return Err(catalogue_missing()),
        None => EffectiveSet {
            active: holding.active,
            grants: BTreeMap::new(),
            unmatched: BTreeMap::new(),
            has_labels: !holding.labels.is_empty(),
        },
    };
    Ok((id, set))
}

fn catalogue_missing() -> Error {
    Error::new(Reason::CATALOGUE_MISSING, "Fluent's roles, retailers and locations have not been read yet")
        .retry_after(CATALOGUE_SOON)
}

/// Computes on a thread of its own: a suggestion compares an unmatched label with the whole catalogue, which would keep
/// other callers waiting.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::internal("matching labels", &error)))
}
