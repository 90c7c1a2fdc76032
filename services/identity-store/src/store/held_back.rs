//! Who is held back: left beyond the guard against mass deactivation, in a tenant that has it hold.
//!
//! Such a user is gone for everyone who asks for its roles, like any other; only its account in Fluent stays, until an
//! operator releases it. That is noted beside the departure, in its commit. What else takes access away is not held: the
//! account keeps no more than what the user's labels give, those it has now or had when it was deleted and has not lost
//! with a group since.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::id::{GroupId, TenantId, UserId};
use domain::label::Label;
use domain::revision::Revision;
use domain::settings::MassDepartures;
use futures_util::future;
use sql::{Row, Statement, Tx, Value, params};

use super::audit::Record;
use super::commit::{Applied, Scope, Write};
use super::document::UserDocument;
use super::noted::{self, Naming, Noted};
use super::{Store, feed, group_id, holdings, standing, tenants, time, user_id};
use crate::failure::Failure;
use crate::model::{Actor, Change, HeldBack, HeldThrough, Read, Release, Released, Touched, UserState, Written};

/// The most users of one page, of one call that names them, and of one step of a release of all.
const PAGE: usize = 1_000;
/// How many are released at a time: as many as share a transaction, so that other changes of the tenant come between.
const TOGETHER: usize = 100;

/// An active user becomes inactive: notes it if it is to be held back.
pub(super) async fn deactivated(scope: &mut Scope<'_, '_>, user: UserId) -> Result<(), Failure> {
    if holds(scope).await? { note(scope, user, None, &[]).await } else { forget(scope, user).await }
}

/// An inactive user becomes active: what it had is given back to it, or what it now has.
pub(super) async fn activated(scope: &mut Scope<'_, '_>, user: UserId) -> Result<(), Failure> {
    forget(scope, user).await
}

/// A user is about to be deleted: notes it if it is to be held back, or is already. Its memberships still stand.
pub(super) async fn deleted(scope: &mut Scope<'_, '_>, user: UserId, old: &UserDocument) -> Result<(), Failure> {
    const IS_NOTED: &str = "SELECT revision FROM held_back WHERE tenant = $1 AND user_id = $2";
    let holds = if old.active {
        holds(scope).await?
    } else {
        scope.held_back > 0 && scope.tx.row(IS_NOTED, params![scope.tenant.as_str(), user.as_bytes()]).await?.is_some()
    };
    if !holds {
        return forget(scope, user).await;
    }
    let names = tenants::settings(scope.tx, scope.tenant).await?.display_names;
    let labels = noted::of(holdings::labels_of(scope.tx, scope.tenant, user).await?, names);
    note(scope, user, Some(old), &labels).await
}

/// Whether one who leaves is held back.
async fn holds(scope: &mut Scope<'_, '_>) -> Result<bool, Failure> {
    // Settings are read beyond the limit only.
    Ok(scope.is_beyond() && tenants::settings(scope.tx, scope.tenant).await?.mass_departures == MassDepartures::Hold)
}

/// Notes a user, who may be noted already.
async fn note(
    scope: &mut Scope<'_, '_>,
    user: UserId,
    deleted: Option<&UserDocument>,
    labels: &[Noted],
) -> Result<(), Failure> {
    const NOTE: &str = "INSERT INTO held_back (tenant, user_id, since, revision, deleted_name, labels) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    const DELETED: &str = "UPDATE held_back SET deleted_name = $3, labels = $4 WHERE tenant = $1 AND user_id = $2";
    let (tenant, user) = (scope.tenant.as_str(), user.as_bytes());
    let name = deleted.map(|old| old.user_name.as_str());
    let labels = noted::to_db(labels);
    let (now, revision) = (scope.now.0, scope.revision.to_db());
    let values = params![tenant, user, now, revision, name, labels.as_str()];
    if scope.tx.execute(NOTE, values).await? == 1 {
        scope.counts.held_back += 1;
        scope.counts.noted += 1;
    } else {
        scope.tx.execute(DELETED, params![tenant, user, name, labels]).await?;
    }
    Ok(())
}

/// Of a departure that is not held back nothing may be noted, whatever was before.
async fn forget(scope: &mut Scope<'_, '_>, user: UserId) -> Result<(), Failure> {
    const FORGET: &str = "DELETE FROM held_back WHERE tenant = $1 AND user_id = $2";
    if scope.held_back > 0 {
        let gone = scope.tx.execute(FORGET, params![scope.tenant.as_str(), user.as_bytes()]).await?;
        scope.counts.held_back -= i64::try_from(gone).unwrap_or(i64::MAX);
    }
    Ok(())
}

/// Those of some users who are held back, each with the labels it had if it was deleted, as far as it has them yet: those
/// it had directly, and those that one of the groups it had them through still bears.
pub(super) async fn among(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<BTreeMap<UserId, BTreeMap<Label, HeldThrough>>, Failure> {
    let users = Value::ids(users.iter().map(|id| &id.as_bytes()[..]));
    let rows = tx.rows(AMONG, params![tenant.as_str(), users]).await?;
    let one = |row: &Row| Ok::<_, Failure>((user_id(row, 0)?, noted::from_db(row.text(1)?)?));
    let noted = rows.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    let groups: BTreeSet<GroupId> = noted.iter().flat_map(|(_, noted)| noted).flat_map(Noted::groups).collect();
    let mut borne = BTreeMap::new();
    if !groups.is_empty() {
        let groups = Value::ids(groups.iter().map(|id| &id.as_bytes()[..]));
        for row in tx.rows(holdings::LABELS, params![tenant.as_str(), groups]).await? {
            borne.insert((group_id(&row, 0)?, Label::new(row.text(1)?)), row.flag(2)?);
        }
    }
    let left = |(user, noted): (UserId, Vec<Noted>)| {
        (user, noted.into_iter().filter_map(|noted| noted.left(&borne)).collect())
    };
    Ok(noted.into_iter().map(left).collect())
}

/// Those of some who are held back.
pub(super) const AMONG: &str = "SELECT h.user_id, h.labels FROM {ids:$2} AS ids \
     CROSS JOIN {each:held_back h WHERE h.tenant = $1 AND h.user_id = ids.value}";

/// Those who were deleted and are held back, and had a label that a change of the ground touches: what the ground gives
/// concerns their accounts too.
pub(super) async fn deleted_before(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    touched: &Touched,
) -> Result<BTreeSet<UserId>, Failure> {
    const DELETED: &str = "SELECT user_id, labels FROM held_back WHERE tenant = $1 AND deleted_name IS NOT NULL";
    let mut users = BTreeSet::new();
    let Some(naming) = Naming::of(touched) else { return Ok(users) };
    let add = |row: Row| {
        if naming.any(&noted::from_db(row.text(1)?)?) {
            users.insert(user_id(&row, 0)?);
        }
        Ok::<_, Failure>(())
    };
    tx.each(DELETED, params![tenant.as_str()], add).await?;
    Ok(users)
}

/// Those who were deleted and are held back, and had a label through one of some groups.
pub(super) async fn deleted_who_had_through(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    groups: &BTreeSet<GroupId>,
) -> Result<BTreeSet<UserId>, Failure> {
    // Who has a label that looks like a group's id is listed once too often.
    const THROUGH: &str = "SELECT h.user_id FROM held_back h WHERE h.tenant = $1 AND h.deleted_name IS NOT NULL \
         AND EXISTS (SELECT 1 FROM {texts:$2} AS groups WHERE h.labels LIKE '%' || groups.value || '%')";
    let mut users = BTreeSet::new();
    if groups.is_empty() {
        return Ok(users);
    }
    let ids: Vec<_> = groups.iter().map(ToString::to_string).collect();
    let add = |row: Row| {
        users.insert(user_id(&row, 0)?);
        Ok::<_, Failure>(())
    };
    tx.each(THROUGH, params![tenant.as_str(), Value::texts(ids.iter().map(String::as_str))], add).await?;
    Ok(users)
}

impl Store {
    /// The next page of those who are held back, in order of id; of the whole, how many there are.
    pub async fn held_back(
        &self,
        tenant: &TenantId,
        after: Option<UserId>,
    ) -> Result<Read<(Vec<HeldBack>, u64)>, Failure> {
        let (tenant, after) = (tenant.clone(), after.map_or_else(Vec::new, |id| id.as_bytes().to_vec()));
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    let rows = tx.rows(NEXT, params![tenant.as_str(), after, i64::MAX, LIMIT]).await?;
                    let users = rows.iter().map(held_back).collect::<Result<_, _>>()?;
                    Ok(Read { value: (users, count(tx, &tenant).await?), position })
                })
            })
            .await
    }

    /// Releases users who are held back, at most as many as [`PAGE`]: what their departure takes from them goes. Each is a
    /// change of its own, so that whatever ends this leaves nothing half done; who is released already is passed over.
    pub async fn release(&self, tenant: &TenantId, release: Release) -> Result<Read<Released>, Failure> {
        let (users, through) = match release {
            Release::Named(users) if users.len() > PAGE => {
                return Err(Failure::TooLarge { what: "one call may release at most 1,000 users by name".into() });
            }
            Release::Named(users) => (users, None),
            Release::Through(revision) => (self.held_back_through(tenant, revision).await?, Some(revision)),
        };
        let more = through.is_some() && users.len() == PAGE;
        let mut released = 0;
        for together in users.chunks(TOGETHER) {
            let one = |user: &UserId| self.committer.write(tenant, ReleaseOne { user: *user, through });
            for written in future::join_all(together.iter().map(one)).await {
                let Written { value: (), position: _, changed } = written?;
                released += u64::from(changed);
            }
        }
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    Ok(Read { value: Released { released, more, left: count(tx, &tenant).await? }, position })
                })
            })
            .await
    }

    /// The first of those who have been held back since a revision or before it.
    async fn held_back_through(&self, tenant: &TenantId, through: Revision) -> Result<Vec<UserId>, Failure> {
        let values = params![tenant.as_str(), Vec::<u8>::new(), through.to_db(), LIMIT];
        self.database
            .read(move |tx| {
                Box::pin(async move { tx.rows(NEXT, values).await?.iter().map(|row| user_id(row, 0)).collect() })
            })
            .await
    }
}

#[expect(clippy::cast_possible_wrap, reason = "a constant that is far smaller")]
const LIMIT: i64 = PAGE as i64;

/// In order of id, by the table's key.
const NEXT: &str = "SELECT h.user_id, h.since, COALESCE(h.deleted_name, u.user_name), \
     CASE WHEN h.deleted_name IS NULL THEN 0 ELSE 1 END \
     FROM held_back h LEFT JOIN {each or none:users u ON u.tenant = h.tenant AND u.id = h.user_id} \
     WHERE h.tenant = $1 AND h.user_id > $2 AND h.revision <= $3 ORDER BY h.user_id LIMIT $4";

fn held_back(row: &Row) -> Result<HeldBack, Failure> {
    Ok(HeldBack {
        id: user_id(row, 0)?,
        user_name: row.maybe_text(2)?.unwrap_or_default().to_owned(),
        deleted: row.flag(3)?,
        since: time(row, 1)?,
    })
}

/// How many there are.
async fn count(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<u64, Failure> {
    let row = tx.row("SELECT held_back FROM tenants WHERE id = $1", params![tenant.as_str()]).await?;
    Ok(u64::try_from(row.ok_or(Failure::TenantNotFound)?.int(0)?).unwrap_or(0))
}

/// One who is released, unless it is held back since a later revision than the operator knows of.
struct ReleaseOne {
    user: UserId,
    through: Option<Revision>,
}

#[async_trait]
impl Write for ReleaseOne {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        const FIND: &str = "SELECT h.deleted_name, u.user_name, u.active FROM held_back h \
             LEFT JOIN users u ON u.tenant = h.tenant AND u.id = h.user_id \
             WHERE h.tenant = $1 AND h.user_id = $2 AND h.revision <= $3";
        const FORGET: &str = "DELETE FROM held_back WHERE tenant = $1 AND user_id = $2";
        // The feed speaks of the name again.
        const REMEMBER: &str = "INSERT INTO deleted_users (tenant, id, user_name, revision) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, id) DO UPDATE SET revision = excluded.revision";
        let Self { user, through } = *self;
        let tenant = scope.tenant.as_str();
        let through = through.map_or(i64::MAX, Revision::to_db);
        let Some(row) = scope.tx.row(FIND, params![tenant, user.as_bytes(), through]).await? else {
            return Ok(Applied::Unchanged(()));
        };
        let (stands, active) = (row.maybe_text(1)?, row.maybe_int(2)? == Some(1));
        let user_name = stands.or(row.maybe_text(0)?).unwrap_or_default();
        let state = UserState { id: user, user_name: user_name.to_owned(), exists: stands.is_some(), active };
        // Nobody's effective set changes: it has been empty since the user left.
        let change = Change::User { user: state, access_changed: false };
        let record = Record {
            tenant: scope.tenant,
            at: scope.now,
            revision: Some(scope.revision),
            actor: &Actor::default(),
            operation: "user.release",
            object: user.to_string(),
        };
        let mut statements = vec![
            Statement::new(FORGET, params![tenant, user.as_bytes()]),
            record.write([]),
            feed::write(scope, 0, true, &change),
        ];
        if stands.is_none() {
            let values = params![tenant, user.as_bytes(), user_name, scope.revision.to_db()];
            statements.push(Statement::new(REMEMBER, values));
        }
        scope.tx.batch(statements).await?;
        scope.counts.held_back -= 1;
        Ok(Applied::Changed(()))
    }
}
