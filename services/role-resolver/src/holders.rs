//! Who holds a grant: the users with a label that may give it, a page at a time, and what the effective set of each says.

use domain::grant::Grant;
use domain::holders::candidates;
use domain::id::{TenantId, UserId};
use runtime::error::Error;

use crate::compute::catalogue_missing;
use crate::consistency::Freshness;
use crate::resolver::{Answer, READS, Resolver, ground_moves};

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
    /// page.
    pub(crate) async fn next(&mut self, resolver: &Resolver) -> Result<Option<Found>, Error> {
        if self.ended {
            return Ok(None);
        }
        let users = self.page(resolver).await?;
        let answer = resolver.first_sets(&self.tenant, &users, self.freshness).await?;
        // Whoever is left of the page is read again.
        let found = &users[..answer.sets.len()];
        self.ended = found.len() == users.len() && users.len() < PAGE as usize;
        let last = found.last().copied().or(self.after);
        self.after = last;
        Ok(Some(Found { answer, last }))
    }

    /// The next candidates. A ground that came while they were read may take other labels for the grant: then they are read
    /// again, so that all of them are of a state in which just these labels give it.
    async fn page(&self, resolver: &Resolver) -> Result<Vec<UserId>, Error> {
        let mut ground = resolver.grounds.newest(&resolver.store, &self.tenant).await?;
        for _ in 0..READS {
            let catalogue = ground.catalogue.as_ref().ok_or_else(catalogue_missing)?;
            let labels = candidates(&self.grant, catalogue, &ground.rules);
            let users = resolver.store.label_holders(&self.tenant, &labels, self.after, PAGE).await?;
            let after = resolver.grounds.newest(&resolver.store, &self.tenant).await?;
            if after.version == ground.version {
                return Ok(users);
            }
            ground = after;
        }
        Err(ground_moves())
    }
}
