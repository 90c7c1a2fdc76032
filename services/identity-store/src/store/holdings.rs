//! Everything effective sets depend on, for many users at once and from one snapshot. The number of statements does not
//! depend on the number of users.
//!
//! A caller that keeps a set names what it depends on; one statement compares the stamps, and where none is above the
//! set's revision nothing more is read. A rename makes a user's set count as changed: callers find sets by name too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::fold::fold;
use domain::id::{GroupId, MemberId, TenantId, UserId};
use domain::label::Label;
use domain::revision::Revision;
use sql::{Row, Tx, Value, params};

use super::{Standing, Store, group_id, held_back, standing, user_id};
use crate::failure::Failure;
use crate::model::{Held, HeldThrough, Holding, Holdings, Include, KeptSet, Read, UserKey};

/// The most users in one call.
const USERS: usize = 1_000;

impl Store {
    /// The holdings of the users named, in the order asked for; of those whose kept set is still right, only that.
    pub async fn get_holdings(
        &self,
        tenant: &TenantId,
        keys: Vec<UserKey>,
        kept: Vec<KeptSet>,
        include: Include,
    ) -> Result<Read<Holdings>, Failure> {
        if keys.len() > USERS || kept.len() > USERS {
            return Err(Failure::TooLarge { what: "one call may ask for at most 1,000 users".into() });
        }
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let mut found = Found::read(tx, &tenant, &keys, &kept, include.documents).await?;
                    found.leave_out(&kept, &stands);
                    if include.held_back {
                        found.held_back = held_back::among(tx, &tenant, &by_id(&keys)).await?;
                    }
                    reach(tx, &tenant, &mut found.users).await?;
                    if include.nesting {
                        nest(tx, &tenant, &mut found.users).await?;
                    }
                    label(tx, &tenant, &mut found.users).await?;
                    let users = keys.iter().map(|key| found.of(key)).collect();
                    let value = Holdings { ground_version: stands.ground_version, users };
                    Ok(Read { value, position: stands.position })
                })
            })
            .await
    }
}

/// The users that were found, and how they were named.
struct Found {
    users: BTreeMap<UserId, Holding>,
    /// The stamps of groups that kept sets depend on; those that are gone have none.
    groups: HashMap<GroupId, Revision>,
    unchanged: BTreeSet<UserId>,
    /// Those asked for by id who are held back, each with what is left of the labels it had if it was deleted.
    held_back: BTreeMap<UserId, BTreeMap<Label, HeldThrough>>,
    by_name: HashMap<String, UserId>,
    /// `None` where several users have the externalId: which is meant can't be known.
    by_external_id: HashMap<String, Option<UserId>>,
}

impl Found {
    async fn read(
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        keys: &[UserKey],
        kept: &[KeptSet],
        documents: bool,
    ) -> Result<Self, Failure> {
        let ids = by_id(keys);
        let (mut names, mut external_ids) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                UserKey::Id(_) => {}
                // No user has such a name, and no database takes it.
                UserKey::UserName(text) | UserKey::ExternalId(text) if text.contains('\0') => {}
                UserKey::UserName(name) => names.push(fold(name)),
                UserKey::ExternalId(id) => external_ids.push(id.as_str()),
            }
        }
        let lists = [
            Value::ids(ids.iter().map(|id| &id.as_bytes()[..])),
            Value::texts(names.iter().map(String::as_str)),
            Value::texts(external_ids),
        ];
        let [ids, names, external_ids] = lists;
        let groups: BTreeSet<_> = kept.iter().flat_map(|set| &set.groups).collect();
        let groups = Value::ids(groups.iter().map(|id| &id.as_bytes()[..]));
        let rows = tx.rows(FIND, params![tenant.as_str(), ids, names, external_ids, documents, groups]).await?;
        let mut found = Self {
            users: BTreeMap::new(),
            groups: HashMap::new(),
            unchanged: BTreeSet::new(),
            held_back: BTreeMap::new(),
            by_name: HashMap::new(),
            by_external_id: HashMap::new(),
        };
        for row in rows {
            found.add(&row)?;
        }
        Ok(found)
    }

    fn add(&mut self, row: &Row) -> Result<(), Failure> {
        let Some(name) = row.maybe_text(2)? else {
            self.groups.insert(group_id(row, 0)?, Revision::from_db(row.int(5)?));
            return Ok(());
        };
        let id = user_id(row, 0)?;
        self.by_name.insert(name.to_owned(), id);
        if let Some(external_id) = row.maybe_text(3)? {
            let known = self.by_external_id.entry(external_id.to_owned()).or_insert(Some(id));
            *known = known.filter(|known| *known == id);
        }
        let holding = Holding {
            id,
            user_name: row.text(1)?.to_owned(),
            active: row.flag(4)?,
            labels: BTreeMap::new(),
            stamp: Revision::from_db(row.int(5)?),
            groups: BTreeMap::new(),
            nesting: BTreeMap::new(),
            version: Revision::from_db(row.int(6)?),
            document: row.maybe_bytes(7)?.map(<[u8]>::to_vec),
            held_back: false,
        };
        self.users.insert(id, holding);
        Ok(())
    }

    /// Moves those whose kept sets are still right out of those that are to be read.
    fn leave_out(&mut self, kept: &[KeptSet], stands: &Standing) {
        for KeptSet { user, revision, groups } in kept {
            let Some(holding) = self.users.get(user) else { continue };
            let stamps = [Some(stands.ground_version), Some(holding.stamp), Some(holding.version)]
                .into_iter()
                .chain(groups.iter().map(|group| self.groups.get(group).copied()));
            // One ahead of the head is of a future that this database does not have.
            let right = *revision <= stands.position.revision;
            if right && stamps.into_iter().all(|stamp| stamp.is_some_and(|stamp| stamp <= *revision)) {
                self.users.remove(user);
                self.unchanged.insert(*user);
            }
        }
    }

    fn of(&self, key: &UserKey) -> Option<Held> {
        let id = match key {
            UserKey::Id(id) => id.parse().ok(),
            UserKey::UserName(name) => self.by_name.get(&fold(name)).copied(),
            UserKey::ExternalId(id) => self.by_external_id.get(id).copied().flatten(),
        };
        let id = id?;
        if self.unchanged.contains(&id) {
            return Some(Held::Unchanged(id));
        }
        let labels = self.held_back.get(&id);
        match self.users.get(&id) {
            Some(holding) => Some(Held::Read(Holding { held_back: labels.is_some(), ..holding.clone() })),
            None => labels.cloned().map(|labels| Held::Back(id, labels)),
        }
    }
}

macro_rules! users {
    ($keys:literal, $is_key:literal) => {
        concat!(
            "SELECT u.id, u.user_name, u.user_name_folded, u.external_id, u.active, u.stamp, u.version, \
             CASE WHEN CAST($5 AS BIGINT) = 1 THEN u.document END FROM ",
            $keys,
            " AS keys CROSS JOIN {each:users u WHERE u.tenant = $1 AND ",
            $is_key,
            "}"
        )
    };
}
/// Users by id, name and externalId, and the stamps of groups.
pub(super) const FIND: &str = concat!(
    users!("{ids:$2}", "u.id = keys.value"),
    " UNION ALL ",
    users!("{texts:$3}", "u.user_name_folded = keys.value"),
    " UNION ALL ",
    users!("{texts:$4}", "u.external_id = keys.value"),
    // Groups have no folded userName: that tells them from users.
    " UNION ALL SELECT g.id, '', NULL, NULL, 0, g.stamp, g.version, NULL FROM {ids:$6} AS keys \
     CROSS JOIN {each:groups g WHERE g.tenant = $1 AND g.id = keys.value}",
);

fn by_id(keys: &[UserKey]) -> Vec<UserId> {
    let id = |key: &UserKey| if let UserKey::Id(id) = key { id.parse().ok() } else { None };
    keys.iter().filter_map(id).collect()
}

/// The labels of a user, each with where it comes from.
pub(super) async fn labels_of(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    user: UserId,
) -> Result<BTreeMap<Label, HeldThrough>, Failure> {
    let key = UserKey::Id(user.to_string());
    let mut users = Found::read(tx, tenant, &[key], &[], false).await?.users;
    reach(tx, tenant, &mut users).await?;
    label(tx, tenant, &mut users).await?;
    Ok(users.remove(&user).map(|holding| holding.labels).unwrap_or_default())
}

/// Finds every group each user is in, directly or through nested groups.
async fn reach(tx: &mut Tx<'_>, tenant: &TenantId, users: &mut BTreeMap<UserId, Holding>) -> Result<(), Failure> {
    if users.is_empty() {
        return Ok(());
    }
    let ids = Value::ids(users.keys().map(|id| &id.as_bytes()[..]));
    for row in tx.rows(REACH, params![tenant.as_str(), ids]).await? {
        if let Some(holding) = users.get_mut(&user_id(&row, 0)?) {
            holding.groups.insert(group_id(&row, 1)?, Revision::from_db(row.int(2)?));
        }
    }
    Ok(())
}

/// Which groups users are in, from memberships that stand. `UNION` ends it even if groups were nested in a circle.
pub(super) const REACH: &str = "WITH RECURSIVE reached (user_id, group_id) AS (\
     SELECT m.member_id, m.group_id FROM {ids:$2} AS users \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = users.value AND m.removed IS NULL} \
     UNION SELECT r.user_id, m.group_id FROM reached r \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = r.group_id AND m.removed IS NULL}) \
     SELECT r.user_id, r.group_id, g.stamp FROM reached r \
     CROSS JOIN {each:groups g WHERE g.tenant = $1 AND g.id = r.group_id}";

/// Which of the users and their groups are direct members of which of their groups.
async fn nest(tx: &mut Tx<'_>, tenant: &TenantId, users: &mut BTreeMap<UserId, Holding>) -> Result<(), Failure> {
    let groups: BTreeSet<GroupId> = users.values().flat_map(|holding| holding.groups.keys().copied()).collect();
    let members = users.keys().map(|id| &id.as_bytes()[..]).chain(groups.iter().map(|id| &id.as_bytes()[..]));
    let mut above_users = HashMap::<UserId, Vec<GroupId>>::new();
    let mut above_groups = HashMap::<GroupId, Vec<GroupId>>::new();
    for row in tx.rows(EDGES, params![tenant.as_str(), Value::ids(members)]).await? {
        let group = group_id(&row, 0)?;
        if row.flag(2)? {
            above_groups.entry(group_id(&row, 1)?).or_default().push(group);
        } else {
            above_users.entry(user_id(&row, 1)?).or_default().push(group);
        }
    }
    for (user, holding) in users {
        let Holding { groups, nesting, .. } = holding;
        for group in above_users.get(user).into_iter().flatten() {
            nesting.entry(*group).or_default().push(MemberId::User(*user));
        }
        for member in groups.keys() {
            for group in above_groups.get(member).into_iter().flatten() {
                nesting.entry(*group).or_default().push(MemberId::Group(*member));
            }
        }
    }
    Ok(())
}

/// What users and groups are direct members of.
pub(super) const EDGES: &str = "SELECT m.group_id, m.member_id, m.is_group FROM {ids:$2} AS ids \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.member_id = ids.value AND m.removed IS NULL} \
     ORDER BY m.group_id, m.member_id";

/// The labels of users and groups.
pub(super) const LABELS: &str = "SELECT l.holder, l.label, l.named FROM {ids:$2} AS ids \
     CROSS JOIN {each:labels l WHERE l.tenant = $1 AND l.holder = ids.value}";

/// Gives each user the labels it holds, with where each comes from.
async fn label(tx: &mut Tx<'_>, tenant: &TenantId, users: &mut BTreeMap<UserId, Holding>) -> Result<(), Failure> {
    if users.is_empty() {
        return Ok(());
    }
    let groups: BTreeSet<GroupId> = users.values().flat_map(|holding| holding.groups.keys().copied()).collect();
    let holders = users.keys().map(|id| &id.as_bytes()[..]).chain(groups.iter().map(|id| &id.as_bytes()[..]));
    let rows = tx.rows(LABELS, params![tenant.as_str(), Value::ids(holders)]).await?;
    let mut of_groups = HashMap::<GroupId, Vec<(Label, bool)>>::new();
    for row in rows {
        let label = Label::new(row.text(1)?);
        if let Some(holding) = users.get_mut(&user_id(&row, 0)?) {
            holding.labels.entry(label).or_default().direct = true;
        } else {
            of_groups.entry(group_id(&row, 0)?).or_default().push((label, row.flag(2)?));
        }
    }
    for holding in users.values_mut() {
        for group in holding.groups.keys() {
            for (label, named) in of_groups.get(group).into_iter().flatten() {
                let through = holding.labels.entry(label.clone()).or_default();
                if *named { through.named_by.push(*group) } else { through.groups.push(*group) }
            }
        }
    }
    Ok(())
}
