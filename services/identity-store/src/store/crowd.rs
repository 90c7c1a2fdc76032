//! How many people one change of group labels may hold.
//!
//! A slip in one group's labels could take their roles from everyone. So a change that adds a label which gives nothing,
//! and takes nothing away, is refused if more active users are in the groups than a tenant's limit, whatever its guardrail.

use domain::id::{GroupId, TenantId};
use sql::{Tx, Value, params};

use super::{standing, tenants};
use crate::failure::Failure;

/// Refused with [`Failure::TooManyHeld`] if more active users are in the groups, directly or through nested ones, than
/// one change may hold.
pub(super) async fn check(tx: &mut Tx<'_>, tenant: &TenantId, groups: &[GroupId]) -> Result<(), Failure> {
    let most = tenants::settings(tx, tenant).await?.change_limit.most(standing(tx, tenant).await?.users);
    let groups = Value::ids(groups.iter().map(|id| &id.as_bytes()[..]));
    let enough = i64::try_from(most + 1).unwrap_or(i64::MAX);
    let row = tx.row(ACTIVE_INSIDE, params![tenant.as_str(), groups, enough]).await?.ok_or(Failure::Internal)?;
    if u64::try_from(row.int(0)?).unwrap_or(u64::MAX) > most {
        return Err(Failure::TooManyHeld { most });
    }
    Ok(())
}

/// How many active users are in some groups, counted up to a limit.
pub(super) const ACTIVE_INSIDE: &str = "WITH RECURSIVE inside (id) AS (\
     SELECT roots.value FROM {ids:$2} AS roots \
     UNION SELECT m.member_id FROM inside i JOIN members m \
     ON m.tenant = $1 AND m.group_id = i.id AND m.is_group = 1 AND m.removed IS NULL) \
     SELECT COUNT(*) FROM (SELECT DISTINCT m.member_id FROM inside i \
     JOIN members m ON m.tenant = $1 AND m.group_id = i.id AND m.is_group = 0 AND m.removed IS NULL \
     JOIN users u ON u.tenant = $1 AND u.id = m.member_id AND u.active = 1 LIMIT $3) AS counted";
