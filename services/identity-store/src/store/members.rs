//! Memberships as rows, each from the revision that added it up to the one that removed it. Changes are sets: fifty
//! thousand members are as many statements as one.
//!
//! Those of a group that stand are asked for by `COALESCE(removed, 0) = 0`. No revision is zero, so it says `removed IS
//! NULL`, but in no index's words: PostgreSQL would take the index by member, in which a group's members lie anywhere.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{GroupId, MemberId, TenantId, UserId};
use sql::{Row, Statement, Tx, Value, params};

use super::commit::Scope;
use super::{Store, feed, standing};
use crate::failure::Failure;
use crate::model::Change;

/// The 16 bytes of an id, whatever it names.
type Id = [u8; 16];

/// The most members one call may name.
const NAMED: usize = 100_000;
/// How many members one page of a list has.
const PAGE: i64 = 5_000;

/// How a request wants the members changed.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Whether everyone who is not in `add` goes.
    pub(super) replace: bool,
    pub(super) add: BTreeSet<Id>,
    /// Removing comes before adding: who is in both is in the end a member.
    pub(super) remove: BTreeSet<Id>,
}

/// What a change of members comes to.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) added: Vec<MemberId>,
    pub(super) removed: Vec<MemberId>,
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl Wanted {
    /// Reads how members are to change. A text that can be no id names nobody, now or ever, so there is nobody to remove
    /// or to add: Microsoft's collection sends such texts and wants success. An id that could be somebody's and is
    /// nobody's is another matter.
    pub(super) fn parse(replace: bool, add: &[String], remove: &[String]) -> Result<Self, Failure> {
        if add.len() > NAMED {
            return Err(Failure::TooLarge { what: format!("one call may name at most {NAMED} members") });
        }
        let known = |texts: &[String]| texts.iter().filter_map(|text| id(text)).collect();
        Ok(Self { replace, add: known(add), remove: known(remove) })
    }
}

fn id(text: &str) -> Option<Id> {
    text.parse::<UserId>().ok().map(|id| *id.as_bytes())
}

/// What it takes to make the members as `wanted`; `group` is `None` for one that is yet to be made.
///
/// Refused if one to be added does not exist, or if the group would come to contain itself; but taking away is never
/// refused for what a request says besides: one that removes a member, or `takes_away` something else, goes without them.
pub(super) async fn delta(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    group: Option<GroupId>,
    wanted: &Wanted,
    takes_away: bool,
) -> Result<Delta, Failure> {
    if !wanted.replace && wanted.add.is_empty() && wanted.remove.is_empty() {
        return Ok(Delta::default());
    }
    let present = match group {
        Some(group) => present(tx, tenant, group, wanted).await?,
        None => BTreeMap::new(),
    };
    let goes = |id: &Id| !wanted.add.contains(id) && (wanted.replace || wanted.remove.contains(id));
    let removed: Vec<_> = present.iter().filter(|(id, _)| goes(id)).map(|(_, member)| *member).collect();
    let strict = removed.is_empty() && !takes_away;
    let missing: BTreeSet<Id> = wanted.add.iter().filter(|id| !present.contains_key(*id)).copied().collect();
    let mut added = look_up(tx, tenant, &missing).await?;
    if strict && let Some(id) = missing.iter().find(|id| !added.contains_key(*id)) {
        return Err(Failure::MemberNotFound { id: UserId::from_slice(id)?.to_string() });
    }
    let nested: Vec<_> = added.values().filter(|member| matches!(member, MemberId::Group(_))).map(id_of).collect();
    if let Some(group) = group
        && !nested.is_empty()
    {
        let above = above(tx, tenant, group, &nested).await?;
        if strict && !above.is_empty() {
            return Err(Failure::NestingCycle);
        }
        added.retain(|id, _| !above.contains(id));
    }
    let added = added.into_values().collect();
    Ok(Delta { added, removed })
}

/// The group's members that the change may concern.
async fn present(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    group: GroupId,
    wanted: &Wanted,
) -> Result<BTreeMap<Id, MemberId>, Failure> {
    const ALL: &str = "SELECT member_id, is_group FROM members \
         WHERE tenant = $1 AND group_id = $2 AND COALESCE(removed, 0) = 0";
    let mut values = params![tenant.as_str(), group.as_bytes()];
    let sql = if wanted.replace {
        ALL
    } else {
        values.push(ids(wanted.add.union(&wanted.remove)));
        AMONG
    };
    tx.rows(sql, values)
        .await?
        .iter()
        .map(|row| {
            let member = member(row)?;
            Ok((*id_of(&member), member))
        })
        .collect()
}

/// Those of some who are members of a group.
pub(super) const AMONG: &str = "SELECT m.member_id, m.is_group FROM {ids:$3} AS named CROSS JOIN {each:members m \
     WHERE m.tenant = $1 AND m.group_id = $2 AND m.member_id = named.value AND m.removed IS NULL}";

/// Finds out who users and who groups are, and who is neither.
async fn look_up(tx: &mut Tx<'_>, tenant: &TenantId, wanted: &BTreeSet<Id>) -> Result<BTreeMap<Id, MemberId>, Failure> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = tx.rows(KINDS, params![tenant.as_str(), ids(wanted)]).await?;
    rows.iter()
        .map(|row| {
            let member = member(row)?;
            Ok((*id_of(&member), member))
        })
        .collect()
}

/// Which of some are groups, and which are users.
pub(super) const KINDS: &str = "SELECT g.id, 1 FROM {ids:$2} AS ids \
     CROSS JOIN {each:groups g WHERE g.tenant = $1 AND g.id = ids.value} \
     UNION ALL SELECT u.id, 0 FROM {ids:$2} AS ids CROSS JOIN {each:users u WHERE u.tenant = $1 AND u.id = ids.value}";

/// Those of the groups that are `group` itself, or contain it directly or through others.
async fn above(tx: &mut Tx<'_>, tenant: &TenantId, group: GroupId, groups: &[&Id]) -> Result<BTreeSet<Id>, Failure> {
    let own = ids([group.as_bytes()]);
    let rows = tx.rows(ABOVE, params![tenant.as_str(), own, ids(groups.iter().copied())]).await?;
    rows.iter().map(|row| Ok(*super::group_id(row, 0)?.as_bytes())).collect()
}

/// The groups among some that a group is, or is in.
pub(super) const ABOVE: &str = "WITH RECURSIVE above (id) AS (\
     SELECT own.value FROM {ids:$2} AS own \
     UNION SELECT m.group_id FROM above a \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = a.id AND m.removed IS NULL}) \
     SELECT id FROM above WHERE id IN {ids:$3}";

/// The statements that carry a delta out: rows, stamps of those who joined or left, and feed entries, of which `part` is
/// the first number that is free.
pub(super) fn change(scope: &mut Scope<'_, '_>, group: GroupId, delta: &Delta, part: i64) -> Vec<Statement> {
    const JOIN: &str = "INSERT INTO members (tenant, group_id, member_id, added, is_group) \
         SELECT $1, $2, joining.value, $3, $4 FROM {ids:$5} AS joining";
    let (tenant, revision) = (scope.tenant.as_str(), scope.revision.to_db());
    let Delta { added, removed } = delta;
    let mut statements = Vec::new();
    for (kind, joining) in [(false, users(added)), (true, groups(added))] {
        if !joining.is_empty() {
            let joining = ids(joining);
            statements.push(Statement::new(JOIN, params![tenant, group.as_bytes(), revision, kind, joining]));
        }
    }
    if !removed.is_empty() {
        let leaving = ids(removed.iter().map(id_of));
        statements.push(Statement::new(LEAVE, params![tenant, group.as_bytes(), revision, leaving]));
    }
    let both: Vec<_> = added.iter().chain(removed).copied().collect();
    for (stamp, stamped) in [(STAMP_USERS, users(&both)), (STAMP_GROUPS, groups(&both))] {
        if !stamped.is_empty() {
            statements.push(Statement::new(stamp, params![tenant, revision, ids(stamped)]));
        }
    }
    let parts = added.len().max(removed.len()).div_ceil(feed::MEMBERS);
    for (n, number) in (0..parts).zip(part..) {
        let some = |members: &[MemberId]| members.chunks(feed::MEMBERS).nth(n).unwrap_or_default().to_vec();
        let (added, removed) = (some(added), some(removed));
        let takes_away = !removed.is_empty();
        statements.push(feed::write(scope, number, takes_away, &Change::Members { group, added, removed }));
    }
    statements
}

/// Ends the memberships of some in a group.
pub(super) const LEAVE: &str =
    "UPDATE members SET removed = $3 WHERE {by ids:$1 group_id=$2 member_id=$4} AND COALESCE(removed, 0) = 0";
pub(super) const STAMP_USERS: &str = "UPDATE users SET stamp = $2 WHERE {by ids:$1 id=$3}";
pub(super) const STAMP_GROUPS: &str = "UPDATE groups SET stamp = $2 WHERE {by ids:$1 id=$3}";

/// The statements that end every membership of one who is deleted. Each group it was in has one member less, which is a
/// change of that group.
pub(super) fn leave_all(scope: &Scope<'_, '_>, member: &Id) -> Vec<Statement> {
    const GROUPS: &str = "UPDATE groups SET member_count = member_count - 1, version = $3, modified_at = $4 \
         WHERE tenant = $1 AND id IN \
         (SELECT group_id FROM members WHERE tenant = $1 AND member_id = $2 AND removed IS NULL)";
    const LEAVE: &str = "UPDATE members SET removed = $3 WHERE tenant = $1 AND member_id = $2 AND removed IS NULL";
    let (tenant, revision) = (scope.tenant.as_str(), scope.revision.to_db());
    vec![
        Statement::new(GROUPS, params![tenant, member, revision, scope.now.0]),
        Statement::new(LEAVE, params![tenant, member, revision]),
    ]
}

/// A list of a group's members under way.
#[derive(Debug)]
pub(crate) struct MemberList {
    tenant: TenantId,
    group: GroupId,
    after: Vec<u8>,
}

impl Store {
    /// Begins to list a group's direct members after an id; an empty text is before the first.
    pub(crate) async fn members_of(&self, tenant: &TenantId, id: &str, after: &str) -> Result<MemberList, Failure> {
        let group = self.get_group(tenant, id).await?.value.id;
        let after = if after.is_empty() {
            Vec::new()
        } else {
            let invalid = |_| Failure::Invalid { field: "after_id", expected: "it must be a member's id".into() };
            after.parse::<UserId>().map_err(invalid)?.as_bytes().to_vec()
        };
        Ok(MemberList { tenant: tenant.clone(), group, after })
    }

    /// The next page in order of id; `None` after the last.
    pub(crate) async fn more_members(&self, list: &mut MemberList) -> Result<Option<Vec<MemberId>>, Failure> {
        const PAGE_OF: &str = "SELECT member_id, is_group FROM members \
             WHERE tenant = $1 AND group_id = $2 AND COALESCE(removed, 0) = 0 AND member_id > $3 ORDER BY member_id LIMIT $4";
        let MemberList { tenant, group, after } = &*list;
        let (tenant, values) = (tenant.clone(), params![tenant.as_str(), group.as_bytes(), after.as_slice(), PAGE]);
        let members: Vec<MemberId> = self
            .database
            .read(move |tx| {
                Box::pin(async move {
                    standing(tx, &tenant).await?;
                    tx.rows(PAGE_OF, values).await?.iter().map(member).collect::<Result<_, Failure>>()
                })
            })
            .await?;
        let Some(end) = members.last() else { return Ok(None) };
        list.after = id_of(end).to_vec();
        Ok(Some(members))
    }
}

/// A member's id and whether it is a group, in the first two columns.
fn member(row: &Row) -> Result<MemberId, Failure> {
    let id = row.bytes(0)?;
    Ok(if row.flag(1)? { MemberId::Group(GroupId::from_slice(id)?) } else { MemberId::User(UserId::from_slice(id)?) })
}

fn id_of(member: &MemberId) -> &Id {
    match member {
        MemberId::User(id) => id.as_bytes(),
        MemberId::Group(id) => id.as_bytes(),
    }
}

fn users(members: &[MemberId]) -> Vec<&Id> {
    members.iter().filter(|member| matches!(member, MemberId::User(_))).map(id_of).collect()
}

fn groups(members: &[MemberId]) -> Vec<&Id> {
    members.iter().filter(|member| matches!(member, MemberId::Group(_))).map(id_of).collect()
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a Id>) -> Value {
    Value::ids(ids.into_iter().map(<[u8; 16]>::as_slice))
}
