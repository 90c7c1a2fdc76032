//! Who holds a grant: the users with a label that may give it, a page at a time, and what the effective set of each says.

use domain::grant::Grant;
use domain::holders::{Candidates, candidates};
use domain::id::{TenantId, UserId};
use runtime::error::Error;

use crate::consistency::Freshness;
use crate::resolver::{Answer, Resolver, Who, catalogue_missing};

/// How many users are looked at for one message.
const PAGE: u32 = 500;

/// The effective sets of some users who may hold a grant.
#[derive(Debug)]
pub(crate) struct Found {
    /// The sets.
    pub(crate) answer: Answer,
    /// The last user of them; `None` if there was none.
    pub(crate) last: Option<UserId>,
}

/// A list of holders under way.
#[derive(Debug)]
pub(crate) struct Holders {
    tenant: TenantId,
    grant: Grant,
    freshness: Freshness,
    after: Option<UserId>,
    ended: bool,
}

impl Holders {
    /// Begins after a user.
    pub(crate) fn new(tenant: TenantId, grant: Grant, freshness: Freshness, after: Option<UserId>) -> Self {
        Self { tenant, grant, freshness, after, ended: false }
    }

    /// Whom the list is about.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The next users who may hold the grant; `None` after the last. Which labels may give it is found out anew for each
    /// page: the ground may have changed.
    pub(crate) async fn next(&mut self, resolver: &Resolver) -> Result<Option<Found>, Error> {
        if self.ended {
            return Ok(None);
        }
        let labels = self.labels(resolver).await?;
        let users = resolver.store.label_holders(&self.tenant, &labels, self.after, PAGE).await?;
        self.ended = users.len() < PAGE as usize;
        let last = users.last().copied().or(self.after);
        self.after = last;
        let users: Vec<_> = users.iter().map(|id| Who::Id(id.to_string())).collect();
        let answer = resolver.sets(&self.tenant, &users, self.freshness).await?;
        Ok(Some(Found { answer, last }))
    }

    async fn labels(&self, resolver: &Resolver) -> Result<Candidates, Error> {
        let ground = resolver.grounds.newest(&resolver.store, &self.tenant).await?;
        let catalogue = ground.catalogue.as_ref().ok_or_else(catalogue_missing)?;
        Ok(candidates(&self.grant, catalogue, &ground.rules))
    }
}
