//! Why a user may do what it may: read from one snapshot of the store, whatever is kept of the user's set.

use domain::effective::Holding;
use domain::explain::{Explanation, Nesting, explain};
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use runtime::error::{Error, Reason};

use crate::compute::{aside, counted};
use crate::consistency::Freshness;
use crate::ground::GroundVersion;
use crate::resolver::{READS, Resolver, Who, ground_moves};

/// What one user holds and how it is in its groups, from one snapshot.
#[derive(Debug)]
pub(crate) struct Nested {
    /// The snapshot.
    pub(crate) position: Position,
    /// The ground that belongs to it.
    pub(crate) ground: GroundVersion,
    /// The user, if there is one.
    pub(crate) user: Option<(UserId, Holding)>,
    /// How it is in its groups.
    pub(crate) nesting: Nesting,
}

impl Resolver {
    /// The effective set of a user with every reason, and a token of the state it was read from.
    pub(crate) async fn explain(
        &self,
        tenant: &TenantId,
        user: &Who,
        freshness: Freshness,
    ) -> Result<(UserId, Explanation, String), Error> {
        for _ in 0..READS {
            let Nested { position, ground: version, user, nesting } = self.store.nested_holding(tenant, user).await?;
            freshness.allows(position)?;
            let ground = self.grounds.at_least(&self.store, tenant, version).await?;
            if ground.version != version {
                continue;
            }
            let (id, holding) =
                user.ok_or_else(|| Error::new(Reason::USER_NOT_FOUND, "there is no such user in the tenant"))?;
            let explanation = aside(move |_| {
                let (holding, catalogue) = counted(holding, &ground)?;
                Ok(explain(&holding, &nesting, catalogue, &ground.rules))
            })
            .await?;
            return Ok((id, explanation, self.key.seal(tenant, position)));
        }
        Err(ground_moves())
    }
}
