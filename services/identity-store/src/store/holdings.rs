//! Everything effective sets depend on, for many users at once and from one snapshot. The number of statements does not
//! depend on the number of users.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::fold::fold;
use domain::id::{GroupId, TenantId, UserId};
use domain::label::Label;
use domain::revision::Revision;
use sql::{Row, Tx, Value, params};

use super::{Store, group_id, standing, user_id};
use crate::failure::Failure;
use crate::model::{HeldThrough, Holding, Holdings, Read, UserKey};

/// The most users in one call.
const USERS: usize = 1_000;

impl Store {
    /// The holdings of the users named, in the order asked for.
    pub async fn get_holdings(
        &self,
        tenant: &TenantId,
        keys: Vec<UserKey>,
        with_documents: bool,
    ) -> Result<Read<Holdings>, Failure> {
        if keys.len() > USERS {
            return Err(Failure::TooLarge { what: "one call may ask for at most 1,000 users".into() });
        }
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let mut found = Found::read(tx, &tenant, &keys, with_documents).await?;
                    reach(tx, &tenant, &mut found.users).await?;
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
    by_name: HashMap<String, UserId>,
    /// `None` where several users have the externalId: which is meant can't be known.
    by_external_id: HashMap<String, Option<UserId>>,
}

impl Found {
    async fn read(tx: &mut Tx<'_>, tenant: &TenantId, keys: &[UserKey], documents: bool) -> Result<Self, Failure> {
        macro_rules! select {
            ($condition:literal) => {
                concat!(
                    "SELECT id, user_name, user_name_folded, external_id, active, stamp, version, \
                     CASE WHEN CAST($5 AS BIGINT) = 1 THEN document END FROM users WHERE tenant = $1 AND ",
                    $condition
                )
            };
        }
        const FIND: &str = concat!(
            select!("id IN {ids:$2}"),
            " UNION ALL ",
            select!("user_name_folded IN {texts:$3}"),
            " UNION ALL ",
            select!("external_id IN {texts:$4}"),
        );
        let mut ids = Vec::new();
        let (mut names, mut external_ids) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                UserKey::Id(id) => ids.extend(id.parse::<UserId>().ok()),
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
        let rows = tx.rows(FIND, params![tenant.as_str(), ids, names, external_ids, documents]).await?;
        let mut found = Self { users: BTreeMap::new(), by_name: HashMap::new(), by_external_id: HashMap::new() };
        for row in rows {
            found.add(&row)?;
        }
        Ok(found)
    }

    fn add(&mut self, row: &Row) -> Result<(), Failure> {
        let id = user_id(row, 0)?;
        self.by_name.insert(row.text(2)?.to_owned(), id);
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
            version: Revision::from_db(row.int(6)?),
            document: row.maybe_bytes(7)?.map(<[u8]>::to_vec),
        };
        self.users.insert(id, holding);
        Ok(())
    }

    fn of(&self, key: &UserKey) -> Option<Holding> {
        let id = match key {
            UserKey::Id(id) => id.parse().ok(),
            UserKey::UserName(name) => self.by_name.get(&fold(name)).copied(),
            UserKey::ExternalId(id) => self.by_external_id.get(id).copied().flatten(),
        };
        self.users.get(&id?).cloned()
    }
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
     SELECT m.member_id, m.group_id FROM members m \
     WHERE m.tenant = $1 AND m.member_id IN {ids:$2} AND m.removed IS NULL \
     UNION SELECT r.user_id, m.group_id FROM reached r JOIN members m \
     ON m.tenant = $1 AND m.member_id = r.group_id AND m.removed IS NULL) \
     SELECT r.user_id, r.group_id, g.stamp FROM reached r JOIN groups g ON g.tenant = $1 AND g.id = r.group_id";

/// The labels of users and groups.
pub(super) const LABELS: &str = "SELECT holder, label FROM labels WHERE tenant = $1 AND holder IN {ids:$2}";

/// Gives each user the labels it holds, with where each comes from.
async fn label(tx: &mut Tx<'_>, tenant: &TenantId, users: &mut BTreeMap<UserId, Holding>) -> Result<(), Failure> {
    if users.is_empty() {
        return Ok(());
    }
    let groups: BTreeSet<GroupId> = users.values().flat_map(|holding| holding.groups.keys().copied()).collect();
    let holders = users.keys().map(|id| &id.as_bytes()[..]).chain(groups.iter().map(|id| &id.as_bytes()[..]));
    let rows = tx.rows(LABELS, params![tenant.as_str(), Value::ids(holders)]).await?;
    let mut of_groups = HashMap::<GroupId, Vec<Label>>::new();
    for row in rows {
        let label = Label::new(row.text(1)?);
        if let Some(holding) = users.get_mut(&user_id(&row, 0)?) {
            holding.labels.entry(label).or_default().direct = true;
        } else {
            of_groups.entry(group_id(&row, 0)?).or_default().push(label);
        }
    }
    for holding in users.values_mut() {
        for group in holding.groups.keys() {
            for label in of_groups.get(group).into_iter().flatten() {
                let HeldThrough { groups, .. } = holding.labels.entry(label.clone()).or_default();
                groups.push(*group);
            }
        }
    }
    Ok(())
}
