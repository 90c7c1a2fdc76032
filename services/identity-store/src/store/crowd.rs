//! How many people one change of group labels may hold.
//!
//! A slip in one group's labels could take their roles from everyone. So a change that adds a label which gives nothing,
//! and takes nothing away, is refused if more active users are in the groups than a tenant's limit, whatever its guardrail.

use domain::id::{GroupId, TenantId};
use sql::{Tx, Value, params};

use super::group_id;
use super::{standing, tenants};
use crate::failure::Failure;

/// Refused with [`Failure::TooManyHeld`] if more active users are in the groups, directly or through nested ones, than
/// one change may hold.
pub(super) async fn check(tx: &mut Tx<'_>, tenant: &TenantId, groups: &[GroupId]) -> Result<(), Failure> {
    let most = tenants::settings(tx, tenant).await?.change_limit.most(standing(tx, tenant).await?.users);
    let roots = Value::ids(groups.iter().map(|id| &id.as_bytes()[..]));
    let rows = tx.rows(INSIDE, params![tenant.as_str(), roots]).await?;
    let inside = rows.iter().map(|row| group_id(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let inside = Value::ids(inside.iter().map(|id| &id.as_bytes()[..]));
    let enough = i64::try_from(most + 1).unwrap_or(i64::MAX);
    let row = tx.row(ACTIVE_INSIDE, params![tenant.as_str(), inside, enough]).await?.ok_or(Failure::Internal)?;
    if u64::try_from(row.int(0)?).unwrap_or(u64::MAX) > most {
        return Err(Failure::TooManyHeld { most });
    }
    Ok(())
}

/// Some groups and those nested in them. `UNION` ends it even if groups were nested in a circle.
pub(super) const INSIDE: &str = "WITH RECURSIVE inside (id) AS (\
     SELECT roots.value FROM {ids:$2} AS roots \
     UNION SELECT m.member_id FROM inside i \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.group_id = i.id AND m.is_group = 1 AND m.removed IS NULL}) \
     SELECT id FROM inside";

/// How many active users are in some groups, counted up to a limit. The members are found first: a planner that sees the
/// limit would rather walk through all users until it has met enough.
pub(super) const ACTIVE_INSIDE: &str = "WITH people (id) AS MATERIALIZED (SELECT DISTINCT m.member_id FROM {ids:$2} AS ids \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.group_id = ids.value AND m.is_group = 0 AND COALESCE(m.removed, 0) = 0}) \
     SELECT COUNT(*) FROM (SELECT p.id FROM people p \
     CROSS JOIN {each:users u WHERE u.tenant = $1 AND u.id = p.id AND u.active = 1} LIMIT $3) AS counted";
