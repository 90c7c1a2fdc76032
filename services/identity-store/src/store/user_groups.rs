//! The groups a user is in, directly and through nested groups: what SCIM shows as `groups`. Access is not worked out
//! from these but from holdings.

use std::collections::BTreeMap;

use domain::id::{GroupId, TenantId, UserId};
use sql::{Row, Tx, Value, params};

use super::{group_id, user_id};
use crate::failure::Failure;
use crate::model::{User, UserGroup};

/// The most groups shown of one user. Direct ones come first.
const SHOWN: usize = 1_000;
/// The most groups on one page of users; a page with more of them ends earlier.
const ON_A_PAGE: usize = 20_000;

/// As a column: the groups of the user `$2` of tenant `$1` as a list of (id, name, whether directly), in no order; null
/// for none, which most are: then nothing is looked through. `UNION` ends it even if groups were nested in a circle.
macro_rules! list {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM members m WHERE m.tenant = $1 AND m.member_id = $2 AND m.removed IS NULL) THEN \
         (WITH RECURSIVE reached (id, direct) AS (\
         SELECT m.group_id, 1 FROM members m WHERE m.tenant = $1 AND m.member_id = $2 AND m.removed IS NULL \
         UNION SELECT m.group_id, 0 FROM reached r \
         CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = r.id AND m.removed IS NULL}), \
         shown (id, direct) AS (SELECT id, MAX(direct) FROM reached GROUP BY id ORDER BY 2 DESC, 1 LIMIT 1000) \
         SELECT CAST({list of rows}({list}({hex:g.id}, g.display_name, s.direct)) AS TEXT) \
         FROM shown s CROSS JOIN {each:groups g WHERE g.tenant = $1 AND g.id = s.id}) END"
    };
}
pub(super) use list;

/// The groups in the column [`list!`], in their order.
pub(super) fn listed(column: Option<&str>) -> Result<Vec<UserGroup>, Failure> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a row holds no list of groups");
        Failure::Internal
    };
    let Some(text) = column else { return Ok(Vec::new()) };
    let rows: Vec<(String, String, i64)> = serde_json::from_str(text).map_err(|error| broken(&error))?;
    let group = |(id, display_name, direct): (String, String, i64)| {
        let id = u128::from_str_radix(&id, 16).map_err(|error| broken(&error))?;
        Ok(UserGroup { id: GroupId::from_slice(&id.to_be_bytes())?, display_name, direct: direct == 1 })
    };
    let mut groups = rows.into_iter().map(group).collect::<Result<Vec<_>, Failure>>()?;
    groups.sort_by_key(|group| (!group.direct, group.id));
    Ok(groups)
}

/// The groups of many users, in order of user; direct ones first. `$3` is the most rows.
pub(super) const OF_MANY: &str = "WITH RECURSIVE reached (user_id, id, direct) AS (\
     SELECT m.member_id, m.group_id, 1 FROM {ids:$2} AS users \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = users.value AND m.removed IS NULL} \
     UNION SELECT r.user_id, m.group_id, 0 FROM reached r \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = r.id AND m.removed IS NULL}), \
     shown (user_id, id, direct) AS (SELECT user_id, id, MAX(direct) FROM reached GROUP BY user_id, id \
     ORDER BY 1, 3 DESC, 2 LIMIT $3) \
     SELECT s.user_id, s.id, g.display_name, s.direct FROM shown s \
     CROSS JOIN {each:groups g WHERE g.tenant = $1 AND g.id = s.id} \
     ORDER BY s.user_id, s.direct DESC, s.id";

/// The groups of each user, by user.
type Groups = BTreeMap<UserId, Vec<UserGroup>>;

/// Gives each user of a page the groups it is in, with one statement. A page with too many of them ends earlier, but
/// never before its first user.
pub(super) async fn add(tx: &mut Tx<'_>, tenant: &TenantId, page: &mut Vec<User>) -> Result<(), Failure> {
    let ids: Vec<_> = page.iter().map(|user| user.id).collect();
    let bounds = Bounds { of_one: SHOWN, together: ON_A_PAGE };
    let (users, mut groups) = of_first(tx, tenant, &ids, bounds).await?;
    page.truncate(users);
    for user in page {
        user.groups = groups.remove(&user.id).unwrap_or_default();
    }
    Ok(())
}

/// All groups of all of these users; `None` if one of them, or several together, are in more than `most`.
pub(super) async fn of_all(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    mut users: &[UserId],
    most: usize,
) -> Result<Option<Groups>, Failure> {
    // One more tells that there are more.
    let bounds = Bounds { of_one: most + 1, together: ON_A_PAGE };
    let (mut all, mut count) = (Groups::new(), 0);
    while !users.is_empty() {
        let (done, groups) = of_first(tx, tenant, users, bounds).await?;
        count += groups.values().map(Vec::len).sum::<usize>();
        if count > most {
            return Ok(None);
        }
        all.extend(groups);
        users = &users[done..];
    }
    Ok(Some(all))
}

/// How many groups are read at once.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Of one user.
    of_one: usize,
    /// Of several.
    together: usize,
}

/// The groups of the first of these users, of as many as the bounds have room for; and how many users those are: at least
/// one if there is any.
async fn of_first(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    users: &[UserId],
    bounds: Bounds,
) -> Result<(usize, Groups), Failure> {
    let Bounds { of_one, together } = bounds;
    let mut first = users.len();
    loop {
        let most = if first > 1 { together } else { of_one };
        let ids = Value::ids(users[..first].iter().map(|id| &id.as_bytes()[..]));
        let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
        let rows = if first == 0 { Vec::new() } else { tx.rows(OF_MANY, params![tenant.as_str(), ids, limit]).await? };
        if rows.len() > most && first > 1 {
            first /= 2;
            continue;
        }
        let mut groups = Groups::new();
        for row in &rows {
            let of_user = groups.entry(user_id(row, 0)?).or_default();
            if of_user.len() < of_one {
                of_user.push(group(row)?);
            }
        }
        return Ok((first, groups));
    }
}

fn group(row: &Row) -> Result<UserGroup, Failure> {
    Ok(UserGroup { id: group_id(row, 1)?, display_name: row.text(2)?.to_owned(), direct: row.flag(3)? })
}
