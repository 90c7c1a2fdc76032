//! Users: made, read, replaced, deleted.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use sql::{Row, Statement, Tx, Value, params};

use super::audit::Record;
use super::commit::{Applied, Scope, Write};
use super::document::{self, UserDocument};
use super::labels;
use super::{Store, feed, held_back, members, outcomes, time, user_groups, user_id};
use crate::failure::Failure;
use crate::model::{Actor, Change, Read, User, UserState, Written};

/// A user's row with its outcome, as [`user`] reads it; the tables are `$users` and `o`.
macro_rules! columns {
    ($users:ident) => {
        concat!(
            stringify!($users),
            ".id, ",
            stringify!($users),
            ".document, ",
            stringify!($users),
            ".created_at, ",
            stringify!($users),
            ".modified_at, ",
            stringify!($users),
            ".version, o.state, o.reasons, o.fluent_user_id, o.pushed_at, o.effective_roles, o.revision"
        )
    };
}
pub(super) use columns;

/// How many columns that is.
pub(super) const COLUMNS: usize = 11;

/// One look-up answers for the tenant's head, the user and its groups: this is what IdPs ask most.
pub(super) const fn get(with_groups: bool) -> &'static str {
    macro_rules! get {
        ($($more:tt)*) => {
            concat!(
                "SELECT ",
                columns!(u),
                ", t.revision, (SELECT epoch FROM meta)",
                $($more)*
                " FROM tenants t LEFT JOIN users u ON u.tenant = t.id AND u.id = $2 \
                 LEFT JOIN outcomes o ON o.tenant = u.tenant AND o.user_id = u.id WHERE t.id = $1"
            )
        };
    }
    if with_groups { get!(", ", user_groups::list!(),) } else { get!() }
}

impl Store {
    /// Stores a new user.
    pub async fn create_user(
        &self,
        tenant: &TenantId,
        actor: Actor,
        document: Vec<u8>,
    ) -> Result<Written<User>, Failure> {
        let document = UserDocument::parse(document)?;
        self.committer.write(tenant, Create { id: UserId::new(), document, actor }).await
    }

    /// Reads one user, with the groups it is in if they are wanted. A text that is no id names none.
    pub async fn get_user(&self, tenant: &TenantId, id: &str, with_groups: bool) -> Result<Read<User>, Failure> {
        let id = id.parse::<UserId>().map_err(|_| Failure::UserNotFound)?;
        let row = self.database.point(get(with_groups), params![tenant.as_str(), id.as_bytes()]).await?;
        let row = row.ok_or(Failure::TenantNotFound)?;
        if row.maybe_bytes(0)?.is_none() {
            return Err(Failure::UserNotFound);
        }
        let epoch = Epoch::from_slice(row.bytes(COLUMNS + 1)?).ok_or(Failure::Internal)?;
        let position = Position { epoch, revision: Revision::from_db(row.int(COLUMNS)?) };
        let groups = if with_groups { user_groups::listed(row.maybe_text(COLUMNS + 2)?)? } else { Vec::new() };
        Ok(Read { value: User { groups, ..user(&row)? }, position })
    }

    /// Replaces a user's document; `expected` is the version it must be at, zero for any.
    pub async fn replace_user(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &str,
        expected: Revision,
        document: Vec<u8>,
    ) -> Result<Written<User>, Failure> {
        let id = id.parse().map_err(|_| Failure::UserNotFound)?;
        let document = UserDocument::parse(document)?;
        self.committer.write(tenant, Replace { id, expected, document, actor }).await
    }

    /// Deletes a user, with its memberships; its name is free at once.
    pub async fn delete_user(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &str,
        expected: Revision,
    ) -> Result<Written<()>, Failure> {
        let id = id.parse().map_err(|_| Failure::UserNotFound)?;
        self.committer.write(tenant, Delete { id, expected, actor }).await
    }
}

/// Reads the columns of [`columns!`].
pub(super) fn user(row: &Row) -> Result<User, Failure> {
    Ok(User {
        id: user_id(row, 0)?,
        document: row.bytes(1)?.to_vec(),
        created_at: time(row, 2)?,
        modified_at: time(row, 3)?,
        version: Revision::from_db(row.int(4)?),
        outcome: outcomes::maybe(row, 5)?,
        groups: Vec::new(),
    })
}

struct Create {
    id: UserId,
    document: UserDocument,
    actor: Actor,
}

#[async_trait]
impl Write for Create {
    type Answer = User;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<User>, Failure> {
        const INSERT: &str = "INSERT INTO users (tenant, id, user_name, user_name_folded, external_id, active, \
             document, created_at, modified_at, version, stamp) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $9) ON CONFLICT DO NOTHING";
        let Self { id, ref document, ref actor } = *self;
        let (tenant, version) = (scope.tenant, scope.revision);
        let change = Change::User { user: state(id, document, true), access_changed: true };
        let mut statements = vec![
            Statement::new(
                INSERT,
                params![
                    tenant.as_str(),
                    id.as_bytes(),
                    &document.user_name,
                    document.folded_name(),
                    document.external_id.as_deref(),
                    document.active,
                    document.bytes.as_slice(),
                    scope.now.0,
                    version.to_db(),
                ],
            ),
            // One who is made inactive may bear the name of an account that stands in Fluent and is to be adopted.
            feed::write(scope, 0, !document.active, &change),
            audit(scope, actor, "user.create", id).write(document.attributes.keys().map(String::as_str)),
        ];
        statements.extend(emails(tenant, id, &BTreeSet::new(), &document.emails));
        statements.extend(labels::of_user(tenant, id.as_bytes(), &BTreeSet::new(), &document.labels));
        let changed = scope.tx.batch(statements).await?;
        if changed.first() != Some(&1) {
            return Err(Failure::NameTaken { attribute: "userName" });
        }
        scope.counts.users += 1;
        scope.counts.inactive += i64::from(!document.active);
        Ok(Applied::Changed(User {
            id,
            document: document.bytes.clone(),
            created_at: scope.now,
            modified_at: scope.now,
            version,
            outcome: None,
            groups: Vec::new(),
        }))
    }
}

struct Replace {
    id: UserId,
    expected: Revision,
    document: UserDocument,
    actor: Actor,
}

#[async_trait]
impl Write for Replace {
    type Answer = User;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<User>, Failure> {
        const UPDATE: &str = "UPDATE users SET user_name = $3, user_name_folded = $4, external_id = $5, active = $6, \
             document = $7, modified_at = $8, version = $9, stamp = CASE WHEN $10 = 1 THEN $9 ELSE stamp END \
             WHERE tenant = $1 AND id = $2";
        let Self { id, expected, ref document, ref actor } = *self;
        let mut document = document.clone();
        let tenant = scope.tenant;
        let (stored, old) = stored(scope.tx, tenant, id, expected).await?;
        if document.folded_name() != old.folded_name() && name_taken(scope.tx, tenant, &document).await? {
            if document.active && old.labels.is_subset(&document.labels) {
                return Err(Failure::NameTaken { attribute: "userName" });
            }
            // Taking away is never refused for what a request says besides.
            document.keep_name(&old)?;
        }
        if document.attributes == old.attributes {
            return Ok(Applied::Unchanged(stored));
        }
        let renamed = document.folded_name() != old.folded_name();
        let access_changed = document.active != old.active || document.labels != old.labels;
        let takes_away =
            renamed || (old.active && !document.active) || old.labels.difference(&document.labels).next().is_some();
        let version = scope.revision;
        let change = Change::User { user: state(id, &document, true), access_changed };
        let mut statements = vec![
            Statement::new(
                UPDATE,
                params![
                    tenant.as_str(),
                    id.as_bytes(),
                    &document.user_name,
                    document.folded_name(),
                    document.external_id.as_deref(),
                    document.active,
                    document.bytes.as_slice(),
                    scope.now.0,
                    version.to_db(),
                    access_changed,
                ],
            ),
            feed::write(scope, 0, takes_away, &change),
            audit(scope, actor, "user.replace", id).write(document::changed(&old.attributes, &document.attributes)),
        ];
        statements.extend(emails(tenant, id, &old.emails, &document.emails));
        statements.extend(labels::of_user(tenant, id.as_bytes(), &old.labels, &document.labels));
        scope.tx.batch(statements).await?;
        match (old.active, document.active) {
            (true, false) => {
                held_back::deactivated(scope, id).await?;
                scope.counts.departures += 1;
            }
            (false, true) => held_back::activated(scope, id).await?,
            (true, true) | (false, false) => {}
        }
        scope.counts.inactive += i64::from(!document.active) - i64::from(!old.active);
        Ok(Applied::Changed(User { document: document.bytes, modified_at: scope.now, version, ..stored }))
    }
}

struct Delete {
    id: UserId,
    expected: Revision,
    actor: Actor,
}

#[async_trait]
impl Write for Delete {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        const DELETE: &str = "DELETE FROM users WHERE tenant = $1 AND id = $2";
        const FORGET: &str = "DELETE FROM outcomes WHERE tenant = $1 AND user_id = $2";
        const REMEMBER: &str = "INSERT INTO deleted_users (tenant, id, user_name, revision) VALUES ($1, $2, $3, $4)";
        let Self { id, expected, ref actor } = *self;
        let (tenant, revision) = (scope.tenant, scope.revision.to_db());
        let (_, old) = stored(scope.tx, tenant, id, expected).await?;
        held_back::deleted(scope, id, &old).await?;
        let change = Change::User { user: state(id, &old, false), access_changed: true };
        let of_user = || params![tenant.as_str(), id.as_bytes()];
        let mut statements = vec![
            Statement::new(DELETE, of_user()),
            Statement::new(FORGET, of_user()),
            Statement::new(REMEMBER, params![tenant.as_str(), id.as_bytes(), &old.user_name, revision]),
            feed::write(scope, 0, true, &change),
            audit(scope, actor, "user.delete", id).write([]),
        ];
        statements.extend(members::leave_all(scope, id.as_bytes()));
        statements.extend(emails(tenant, id, &old.emails, &BTreeSet::new()));
        statements.extend(labels::of_user(tenant, id.as_bytes(), &old.labels, &BTreeSet::new()));
        scope.tx.batch(statements).await?;
        scope.counts.users -= 1;
        scope.counts.inactive -= i64::from(!old.active);
        scope.counts.departures += u64::from(old.active);
        Ok(Applied::Changed(()))
    }
}

/// The user as it stands, if it is at the version expected.
async fn stored(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: UserId,
    expected: Revision,
) -> Result<(User, UserDocument), Failure> {
    const STORED: &str = concat!(
        "SELECT ",
        columns!(u),
        " FROM users u LEFT JOIN outcomes o ON o.tenant = u.tenant AND o.user_id = u.id \
         WHERE u.tenant = $1 AND u.id = $2"
    );
    let row = tx.row(STORED, params![tenant.as_str(), id.as_bytes()]).await?.ok_or(Failure::UserNotFound)?;
    let stored = user(&row)?;
    if expected != Revision(0) && stored.version != expected {
        return Err(Failure::VersionMismatch);
    }
    let document = UserDocument::parse(stored.document.clone()).map_err(|failure| {
        tracing::error!(user = %id, %failure, "a stored document can't be read");
        Failure::Internal
    })?;
    Ok((stored, document))
}

async fn name_taken(tx: &mut Tx<'_>, tenant: &TenantId, document: &UserDocument) -> Result<bool, Failure> {
    const TAKEN: &str = "SELECT version FROM users WHERE tenant = $1 AND user_name_folded = $2";
    Ok(tx.row(TAKEN, params![tenant.as_str(), document.folded_name()]).await?.is_some())
}

pub(super) const FORGET_EMAILS: &str = "DELETE FROM user_emails WHERE {by texts:$1 user_id=$2 folded=$3}";

/// The statements that turn a user's `old` addresses into the `new` ones.
fn emails(tenant: &TenantId, id: UserId, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Vec<Statement> {
    const INSERT: &str =
        "INSERT INTO user_emails (tenant, folded, user_id) SELECT $1, new.value, $2 FROM {texts:$3} AS new";
    let gone: Vec<_> = old.difference(new).map(String::as_str).collect();
    let mut statements = Vec::new();
    if !gone.is_empty() {
        statements.push(Statement::new(FORGET_EMAILS, params![tenant.as_str(), id.as_bytes(), Value::texts(gone)]));
    }
    let added: Vec<_> = new.difference(old).map(String::as_str).collect();
    if !added.is_empty() {
        statements.push(Statement::new(INSERT, params![tenant.as_str(), id.as_bytes(), Value::texts(added)]));
    }
    statements
}

fn state(id: UserId, document: &UserDocument, exists: bool) -> UserState {
    UserState { id, user_name: document.user_name.clone(), exists, active: exists && document.active }
}

fn audit<'a>(scope: &Scope<'a, '_>, actor: &'a Actor, operation: &'static str, id: UserId) -> Record<'a> {
    Record {
        tenant: scope.tenant,
        at: scope.now,
        revision: Some(scope.revision),
        actor,
        operation,
        object: id.to_string(),
    }
}
