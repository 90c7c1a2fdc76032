//! Whom a change concerns: the users whose effective set an entry of the feed may change, as memberships were when it
//! was committed; and all users, for a consumer that starts over.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use domain::grant::ContextType;
use domain::id::{GroupId, MemberId, TenantId, UserId};
use domain::revision::{Position, Revision};
use sql::{Row, Tx, Value, params};

use super::labels::{self, Holder};
use super::{Store, feed, group_id, held_back, standing, user_id};
use crate::failure::Failure;
use crate::model::{Change, Read, Touched, UserState};

/// How many users one page has.
const PAGE: usize = 5_000;

/// A list of users under way.
#[derive(Debug)]
pub(crate) struct Affected {
    tenant: TenantId,
    /// The entry of the feed that concerns them, where one does. What is listed is right only while the feed has it: with
    /// it go the memberships and names that it speaks of.
    entry: Option<Position>,
    source: Source,
    /// The last user listed; empty before the first.
    after: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    /// Everyone, and then those who were deleted and are named.
    All { deleted: BTreeSet<UserId> },
    /// The users named, then those who were in one of the groups at the revision.
    Named { users: BTreeSet<UserId>, groups: Vec<GroupId>, revision: Revision, in_groups: bool },
}

impl Store {
    /// Begins to list the users an entry concerns.
    pub(crate) async fn affected_users(&self, tenant: &TenantId, entry: Position) -> Result<Affected, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    is_told(tx, &tenant, entry).await?;
                    let source = source(tx, &tenant, entry.revision).await?;
                    Ok(Affected { tenant, entry: Some(entry), source, after: Vec::new() })
                })
            })
            .await
    }

    /// Begins to list the users that a change of the ground would concern.
    pub(super) async fn would_be_affected(&self, tenant: &TenantId, touched: Touched) -> Result<Affected, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let revision = standing(tx, &tenant).await?.position.revision;
                    let (mut users, mut roots) = (BTreeSet::new(), BTreeSet::new());
                    let source = match add(tx, &tenant, touched, &mut users, &mut roots).await? {
                        Whole::All => Source::All { deleted: BTreeSet::new() },
                        Whole::No => {
                            let groups = nested(tx, &tenant, &roots, revision).await?;
                            Source::Named { users, groups, revision, in_groups: false }
                        }
                    };
                    Ok(Affected { tenant, entry: None, source, after: Vec::new() })
                })
            })
            .await
    }

    /// Begins to list the users who are in a group, directly or through others.
    pub(super) async fn inside(&self, tenant: &TenantId, group: GroupId) -> Result<Affected, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let revision = standing(tx, &tenant).await?.position.revision;
                    let groups = nested(tx, &tenant, &BTreeSet::from([group]), revision).await?;
                    let source = Source::Named { users: BTreeSet::new(), groups, revision, in_groups: true };
                    Ok(Affected { tenant, entry: None, source, after: Vec::new() })
                })
            })
            .await
    }

    /// Begins to list all users. Where the tenant stands now is what a consumer has dealt with at the end: whoever
    /// changes while the list is read has an entry in the feed after it.
    pub(crate) async fn all_users(&self, tenant: &TenantId) -> Result<Read<Affected>, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    let value = Affected {
                        tenant,
                        entry: None,
                        source: Source::All { deleted: BTreeSet::new() },
                        after: Vec::new(),
                    };
                    Ok(Read { value, position })
                })
            })
            .await
    }

    /// The next page in order of id; `None` after the last. [`Failure::FeedTruncated`] once the feed has forgotten the entry.
    pub(crate) async fn more_affected(&self, list: &mut Affected) -> Result<Option<Vec<UserState>>, Failure> {
        loop {
            let next = self.next_ids(list).await?;
            let full = match (&mut list.source, next) {
                (Source::All { deleted }, Next::States(states)) => {
                    let Some(end) = states.last() else {
                        let (users, groups, revision) = (std::mem::take(deleted), Vec::new(), Revision(0));
                        list.source = Source::Named { users, groups, revision, in_groups: false };
                        list.after = Vec::new();
                        continue;
                    };
                    list.after = end.id.as_bytes().to_vec();
                    return Ok(Some(states));
                }
                (Source::Named { users, in_groups, .. }, Next::Ids(ids)) => {
                    let Some(end) = ids.last() else {
                        if *in_groups {
                            return Ok(None);
                        }
                        *in_groups = true;
                        list.after = Vec::new();
                        continue;
                    };
                    list.after = end.as_bytes().to_vec();
                    if *in_groups { ids.into_iter().filter(|id| !users.contains(id)).collect() } else { ids }
                }
                _ => return Err(Failure::Internal),
            };
            let states = self.states(list, full).await?;
            if !states.is_empty() {
                return Ok(Some(states));
            }
        }
    }

    async fn next_ids(&self, list: &Affected) -> Result<Next, Failure> {
        const ALL: &str = "SELECT id, user_name, active FROM users WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
        let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let Affected { tenant, entry, source, after } = list;
        match source {
            Source::All { .. } => {
                let values = params![tenant.as_str(), after.as_slice(), page];
                let rows = self
                    .database
                    .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.rows(ALL, values).await?) }))
                    .await?;
                let states = rows.iter().map(|row| {
                    let (id, user_name) = (user_id(row, 0)?, row.text(1)?.to_owned());
                    Ok(UserState { id, user_name, exists: true, active: row.flag(2)? })
                });
                Ok(Next::States(states.collect::<Result<_, Failure>>()?))
            }
            Source::Named { users, in_groups: false, .. } => {
                let after = UserId::from_slice(after).map_or(Bound::Unbounded, Bound::Excluded);
                Ok(Next::Ids(users.range((after, Bound::Unbounded)).take(PAGE).copied().collect()))
            }
            Source::Named { groups, .. } if groups.is_empty() => Ok(Next::Ids(Vec::new())),
            Source::Named { groups, revision, .. } => {
                let groups = Value::ids(groups.iter().map(|id| &id.as_bytes()[..]));
                let values = params![tenant.as_str(), groups, revision.to_db(), after.as_slice(), page];
                let rows = self.rows_of(tenant, *entry, IN_GROUPS, values).await?;
                Ok(Next::Ids(rows.iter().map(|row| user_id(row, 0)).collect::<Result<_, _>>()?))
            }
        }
    }

    /// How users stand now; for those who are gone, with the name they had. One whose name is forgotten is left out: the
    /// entry of the deletion is forgotten too.
    async fn states(&self, list: &Affected, ids: Vec<UserId>) -> Result<Vec<UserState>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let values = params![list.tenant.as_str(), Value::ids(ids.iter().map(|id| &id.as_bytes()[..]))];
        let rows = self.rows_of(&list.tenant, list.entry, STATES, values).await?;
        let mut states = BTreeMap::new();
        for row in rows {
            let (id, active) = (user_id(&row, 0)?, row.maybe_int(2)?);
            let Some(user_name) = row.maybe_text(1)? else { continue };
            let user_name = user_name.to_owned();
            states.insert(id, UserState { id, user_name, exists: active.is_some(), active: active == Some(1) });
        }
        Ok(states.into_values().collect())
    }

    /// Rows about those whom an entry concerns, from a snapshot in which the feed has it.
    async fn rows_of(
        &self,
        tenant: &TenantId,
        entry: Option<Position>,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Failure> {
        let tenant = tenant.clone();
        let rows = self.database.read(move |tx| {
            Box::pin(async move {
                if let Some(entry) = entry {
                    is_told(tx, &tenant, entry).await?;
                }
                Ok::<_, Failure>(tx.rows(sql, values).await?)
            })
        });
        rows.await
    }
}

/// How some users stand. A select of its own finds each row by its key.
pub(super) const STATES: &str = "SELECT ids.value, COALESCE(\
     (SELECT u.user_name FROM users u WHERE u.tenant = $1 AND u.id = ids.value), \
     (SELECT d.user_name FROM deleted_users d WHERE d.tenant = $1 AND d.id = ids.value), \
     (SELECT h.deleted_name FROM held_back h WHERE h.tenant = $1 AND h.user_id = ids.value)), \
     (SELECT u.active FROM users u WHERE u.tenant = $1 AND u.id = ids.value) FROM {ids:$2} AS ids";

/// An error unless the feed tells of an entry.
async fn is_told(tx: &mut Tx<'_>, tenant: &TenantId, entry: Position) -> Result<(), Failure> {
    let stands = standing(tx, tenant).await?;
    if entry.epoch != stands.position.epoch || entry.revision > stands.position.revision {
        return Err(Failure::EpochMismatch);
    }
    if entry.revision <= stands.feed_floor {
        return Err(Failure::FeedTruncated);
    }
    Ok(())
}

enum Next {
    Ids(Vec<UserId>),
    States(Vec<UserState>),
}

/// Who was in one of some groups just before or just after a revision. Who left at it is concerned by it too.
pub(super) const IN_GROUPS: &str = "SELECT DISTINCT m.member_id FROM {ids:$2} AS ids CROSS JOIN {each:members m \
     WHERE m.tenant = $1 AND m.group_id = ids.value AND m.is_group = 0 AND m.added <= $3 \
     AND (m.removed IS NULL OR m.removed >= $3) AND m.member_id > $4} ORDER BY m.member_id LIMIT $5";

async fn source(tx: &mut Tx<'_>, tenant: &TenantId, revision: Revision) -> Result<Source, Failure> {
    let (mut users, mut roots, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in feed::of_revision(tx, tenant, revision).await? {
        match entry.change {
            Change::User { user, .. } => {
                users.insert(user.id);
            }
            Change::Members { group: _, added, removed } => {
                for member in added.into_iter().chain(removed) {
                    match member {
                        MemberId::User(id) => users.insert(id),
                        MemberId::Group(id) => roots.insert(id),
                    };
                }
            }
            Change::Group { group, exists: _ } => {
                roots.insert(group);
                changed.insert(group);
            }
            Change::Rules(touched) | Change::Catalogue(touched) | Change::Settings(touched) => {
                // What labels the deleted had is nowhere but with the note that they are held back.
                let deleted = held_back::deleted_before(tx, tenant, &touched).await?;
                if let Whole::All = add(tx, tenant, touched, &mut users, &mut roots).await? {
                    return Ok(Source::All { deleted });
                }
                users.extend(deleted);
            }
        }
    }
    users.extend(held_back::deleted_who_had_through(tx, tenant, &changed).await?);
    let groups = nested(tx, tenant, &roots, revision).await?;
    Ok(Source::Named { users, groups, revision, in_groups: false })
}

/// Whether a change concerns everyone.
enum Whole {
    All,
    No,
}

/// Adds those whose labels name what a change of the ground touched.
async fn add(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    touched: Touched,
    users: &mut BTreeSet<UserId>,
    groups: &mut BTreeSet<GroupId>,
) -> Result<Whole, Failure> {
    let Touched::Names { roles, retailers, locations, accounts } = touched else { return Ok(Whole::All) };
    let contexts =
        [(ContextType::Retailer, &retailers), (ContextType::Agent, &locations), (ContextType::Account, &accounts)];
    holders(tx, tenant, &roles, contexts, users, groups).await?;
    Ok(Whole::No)
}

/// Adds the holders of labels that name one of these roles or contexts, or that are a rule's logical role as a whole.
async fn holders(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    roles: &[String],
    contexts: [(ContextType, &Vec<String>); 3],
    users: &mut BTreeSet<UserId>,
    groups: &mut BTreeSet<GroupId>,
) -> Result<(), Failure> {
    if roles.is_empty() && contexts.iter().all(|(_, names)| names.is_empty()) {
        return Ok(());
    }
    let texts = |names: &[String]| Value::texts(names.iter().map(String::as_str));
    let named = Value::texts(roles.iter().map(String::as_str).chain([labels::ANYTHING]));
    // Perhaps as many as a tenant has: of each no more is kept than its id.
    let mut add = |row: Row| {
        if row.int(1)? == Holder::User.to_db() {
            users.insert(user_id(&row, 0)?);
        } else {
            groups.insert(group_id(&row, 0)?);
        }
        Ok::<_, Failure>(())
    };
    tx.each(HOLDERS_BY_ROLE, params![tenant.as_str(), named], &mut add).await?;
    tx.each(HOLDERS_BY_LABEL, params![tenant.as_str(), texts(roles)], &mut add).await?;
    for (kind, names) in contexts {
        tx.each(HOLDERS_BY_CONTEXT, params![tenant.as_str(), kind.as_str(), texts(names)], &mut add).await?;
    }
    Ok(())
}

pub(super) const HOLDERS_BY_ROLE: &str = "SELECT DISTINCT r.holder, r.holder_kind FROM {texts:$2} AS roles \
     CROSS JOIN {each:label_readings r WHERE r.tenant = $1 AND r.role = roles.value}";
pub(super) const HOLDERS_BY_LABEL: &str = "SELECT DISTINCT l.holder, l.holder_kind FROM {texts:$2} AS texts \
     CROSS JOIN {each:labels l WHERE l.tenant = $1 AND l.label = texts.value}";
pub(super) const HOLDERS_BY_CONTEXT: &str = "SELECT DISTINCT r.holder, r.holder_kind FROM {texts:$3} AS contexts \
     CROSS JOIN {each:label_readings r WHERE r.tenant = $1 AND r.context_type = $2 AND r.context = contexts.value}";

/// The groups `$2` and all that were nested in them. `UNION` ends it even if groups were nested in a circle.
pub(super) const NESTED: &str = "WITH RECURSIVE inside (id) AS (\
     SELECT roots.value FROM {ids:$2} AS roots \
     UNION SELECT m.member_id FROM inside i CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.group_id = i.id \
     AND m.is_group = 1 AND m.added <= $3 AND (m.removed IS NULL OR m.removed >= $3)}) \
     SELECT id FROM inside";

/// The groups, and all that were nested in them just before or just after a revision.
async fn nested(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    roots: &BTreeSet<GroupId>,
    revision: Revision,
) -> Result<Vec<GroupId>, Failure> {
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let roots = Value::ids(roots.iter().map(|id| &id.as_bytes()[..]));
    let rows = tx.rows(NESTED, params![tenant.as_str(), roots, revision.to_db()]).await?;
    rows.iter().map(|row| group_id(row, 0)).collect()
}
