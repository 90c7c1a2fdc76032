//! Groups: made, read, changed, deleted. A change of document and members is one commit.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::id::{GroupId, TenantId};
use domain::revision::Revision;
use sql::{Row, Statement, Tx, params};

use super::audit::Record;
use super::commit::{Applied, Scope, Write};
use super::document::{self, GroupDocument};
use super::labels::{self, Holder, Labels};
use super::members::{self, Delta, Wanted};
use super::{Store, crowd, feed, group_id, group_labels, standing, time};
use crate::failure::Failure;
use crate::model::{Actor, Change, Group, GroupUpdate, Read, Written};

/// A group's row, as [`group`] reads it.
macro_rules! columns {
    () => {
        "id, document, created_at, modified_at, version, member_count"
    };
}
pub(super) use columns;

/// How many columns that is.
pub(super) const COLUMNS: usize = 6;

const GET: &str = concat!("SELECT ", columns!(), " FROM groups WHERE tenant = $1 AND id = $2");

impl Store {
    /// Stores a new group with its first members.
    pub async fn create_group(
        &self,
        tenant: &TenantId,
        actor: Actor,
        document: Vec<u8>,
        members: &[String],
        adds_unmatched: bool,
    ) -> Result<Written<Group>, Failure> {
        let document = GroupDocument::parse(document)?;
        let wanted = Wanted::parse(false, members, &[])?;
        self.committer.write(tenant, Create { id: GroupId::new(), document, wanted, adds_unmatched, actor }).await
    }

    /// Reads one group. A text that is no id names none.
    pub async fn get_group(&self, tenant: &TenantId, id: &str) -> Result<Read<Group>, Failure> {
        let (tenant, id) = (tenant.clone(), id.parse::<GroupId>().ok());
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    let id = id.ok_or(Failure::GroupNotFound)?;
                    let row = tx.row(GET, params![tenant.as_str(), id.as_bytes()]).await?;
                    Ok(Read { value: group(&row.ok_or(Failure::GroupNotFound)?)?, position })
                })
            })
            .await
    }

    /// Changes a group's document, its members, or both.
    pub async fn update_group(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &str,
        update: GroupUpdate,
    ) -> Result<Written<Group>, Failure> {
        let GroupUpdate { expected, document, replace_members, add, remove, adds_unmatched, only_if_it_takes_away } =
            update;
        let id = id.parse().map_err(|_| Failure::GroupNotFound)?;
        let document = document.map(GroupDocument::parse).transpose()?;
        let wanted = Wanted::parse(replace_members, &add, &remove)?;
        self.committer
            .write(tenant, Update { id, expected, document, wanted, adds_unmatched, only_if_it_takes_away, actor })
            .await
    }

    /// Deletes a group; its members stay, without what came through it.
    pub async fn delete_group(
        &self,
        tenant: &TenantId,
        actor: Actor,
        id: &str,
        expected: Revision,
    ) -> Result<Written<()>, Failure> {
        let id = id.parse().map_err(|_| Failure::GroupNotFound)?;
        self.committer.write(tenant, Delete { id, expected, actor }).await
    }
}

/// Reads the columns of [`columns!`].
pub(super) fn group(row: &Row) -> Result<Group, Failure> {
    Ok(Group {
        id: group_id(row, 0)?,
        document: row.bytes(1)?.to_vec(),
        created_at: time(row, 2)?,
        modified_at: time(row, 3)?,
        version: Revision::from_db(row.int(4)?),
        member_count: u64::try_from(row.int(5)?).unwrap_or(0),
    })
}

struct Create {
    id: GroupId,
    document: GroupDocument,
    wanted: Wanted,
    adds_unmatched: bool,
    actor: Actor,
}

#[async_trait]
impl Write for Create {
    type Answer = Group;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<Group>, Failure> {
        const INSERT: &str = "INSERT INTO groups (tenant, id, display_name, display_name_folded, external_id, document, \
             member_count, created_at, modified_at, version, stamp) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $9) ON CONFLICT DO NOTHING";
        let Self { id, ref document, ref wanted, adds_unmatched, ref actor } = *self;
        let (tenant, version) = (scope.tenant, scope.revision);
        let delta = members::delta(scope.tx, tenant, None, wanted, false).await?;
        let labels = group_labels::of(scope.tx, tenant, id, document).await?;
        let member_count = delta.added.len() as u64;
        let mut statements = vec![
            Statement::new(
                INSERT,
                params![
                    tenant.as_str(),
                    id.as_bytes(),
                    &document.display_name,
                    document.folded_name(),
                    document.external_id.as_deref(),
                    document.bytes.as_slice(),
                    i64::try_from(member_count).unwrap_or(i64::MAX),
                    scope.now.0,
                    version.to_db(),
                ],
            ),
            feed::write(scope, 0, false, &Change::Group { group: id, exists: true }),
            audit(scope, actor, "group.create", id)
                .write(attributes(document.attributes.keys().map(String::as_str).collect(), &delta)),
        ];
        statements.extend(labels::change(tenant, id.as_bytes(), Holder::Group, &Labels::default(), &labels));
        statements.extend(members::change(scope, id, &delta, 1));
        let changed = scope.tx.batch(statements).await?;
        if changed.first() != Some(&1) {
            return Err(Failure::NameTaken { attribute: "displayName" });
        }
        if adds_unmatched {
            crowd::check(scope.tx, tenant, &[id]).await?;
        }
        scope.counts.groups += 1;
        let (created_at, modified_at) = (scope.now, scope.now);
        Ok(Applied::Changed(Group {
            id,
            document: document.bytes.clone(),
            created_at,
            modified_at,
            version,
            member_count,
        }))
    }
}

struct Update {
    id: GroupId,
    expected: Revision,
    document: Option<GroupDocument>,
    wanted: Wanted,
    adds_unmatched: bool,
    only_if_it_takes_away: bool,
    actor: Actor,
}

#[async_trait]
impl Write for Update {
    type Answer = Group;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<Group>, Failure> {
        let Self { id, expected, ref document, ref wanted, adds_unmatched, only_if_it_takes_away, ref actor } = *self;
        let tenant = scope.tenant;
        let (stored, old) = stored(scope.tx, tenant, id, expected).await?;
        let mut document = document.clone().filter(|new| new.attributes != old.attributes);
        let mut held = match &document {
            Some(new) => Held::read(scope.tx, tenant, id, new).await?,
            None => Held::default(),
        };
        let loses_labels = held.old.loses_stated(&held.new);
        let delta = members::delta(scope.tx, tenant, Some(id), wanted, loses_labels).await?;
        if let Some(new) = &mut document
            && new.folded_name() != old.folded_name()
            && name_taken(scope.tx, tenant, new).await?
        {
            if delta.removed.is_empty() && !loses_labels {
                return Err(Failure::NameTaken { attribute: "displayName" });
            }
            // Taking away is never refused for what a request says besides.
            new.keep_name(&old)?;
            held.new = group_labels::of(scope.tx, tenant, id, new).await?;
        }
        let takes_away =
            !delta.removed.is_empty() || group_labels::loses(scope.tx, tenant, &held.old, &held.new).await?;
        if only_if_it_takes_away && !takes_away {
            return Err(Failure::LabelsUnmatched { labels: Vec::new() });
        }
        let document = document.filter(|new| new.attributes != old.attributes);
        if document.is_none() && delta.is_empty() {
            return Ok(Applied::Unchanged(stored));
        }
        let joined = delta.added.len() as u64;
        let member_count = (stored.member_count + joined).saturating_sub(delta.removed.len() as u64);
        let mut changed = BTreeSet::new();
        let mut statements = Vec::new();
        let mut part = 0;
        if let Some(new) = &document {
            changed = document::changed(&old.attributes, &new.attributes);
            statements.extend(rewrite(scope, id, &held, new));
            part = 1;
        }
        statements.push(touch(scope, id, member_count));
        statements.push(audit(scope, actor, "group.update", id).write(attributes(changed, &delta)));
        statements.extend(members::change(scope, id, &delta, part));
        scope.tx.batch(statements).await?;
        if adds_unmatched && !takes_away {
            crowd::check(scope.tx, tenant, &[id]).await?;
        }
        let document = document.map_or(stored.document, |document| document.bytes);
        let (modified_at, version) = (scope.now, scope.revision);
        Ok(Applied::Changed(Group { document, modified_at, version, member_count, ..stored }))
    }
}

/// A group's labels before and after a change of its document, whichever way they come to it.
#[derive(Default)]
struct Held {
    old: Labels,
    new: Labels,
}

impl Held {
    async fn read(tx: &mut Tx<'_>, tenant: &TenantId, id: GroupId, new: &GroupDocument) -> Result<Self, Failure> {
        let old = labels::rows(tx, tenant, id.as_bytes()).await?;
        Ok(Self { old, new: group_labels::of(tx, tenant, id, new).await? })
    }
}

/// The statements that give a group a new document.
fn rewrite(scope: &mut Scope<'_, '_>, id: GroupId, held: &Held, new: &GroupDocument) -> Vec<Statement> {
    const UPDATE: &str = "UPDATE groups SET display_name = $3, display_name_folded = $4, external_id = $5, \
         document = $6, stamp = CASE WHEN $7 = 1 THEN $8 ELSE stamp END WHERE tenant = $1 AND id = $2";
    let Held { old: labels_old, new: labels_new } = held;
    let (access_changed, takes_away) = (labels_old != labels_new, labels_old.loses(labels_new));
    let tenant = scope.tenant;
    let mut statements = vec![
        Statement::new(
            UPDATE,
            params![
                tenant.as_str(),
                id.as_bytes(),
                &new.display_name,
                new.folded_name(),
                new.external_id.as_deref(),
                new.bytes.as_slice(),
                access_changed,
                scope.revision.to_db(),
            ],
        ),
        feed::write(scope, 0, takes_away, &Change::Group { group: id, exists: true }),
    ];
    statements.extend(labels::change(tenant, id.as_bytes(), Holder::Group, labels_old, labels_new));
    statements
}

/// The statement that gives a group its new version.
fn touch(scope: &Scope<'_, '_>, id: GroupId, member_count: u64) -> Statement {
    const TOUCH: &str =
        "UPDATE groups SET member_count = $3, modified_at = $4, version = $5 WHERE tenant = $1 AND id = $2";
    let count = i64::try_from(member_count).unwrap_or(i64::MAX);
    Statement::new(TOUCH, params![scope.tenant.as_str(), id.as_bytes(), count, scope.now.0, scope.revision.to_db()])
}

struct Delete {
    id: GroupId,
    expected: Revision,
    actor: Actor,
}

#[async_trait]
impl Write for Delete {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        const DELETE: &str = "DELETE FROM groups WHERE tenant = $1 AND id = $2";
        const DISMISS: &str = "UPDATE members SET removed = $3 \
             WHERE tenant = $1 AND group_id = $2 AND COALESCE(removed, 0) = 0";
        let Self { id, expected, ref actor } = *self;
        let tenant = scope.tenant;
        stored(scope.tx, tenant, id, expected).await?;
        let held = labels::rows(scope.tx, tenant, id.as_bytes()).await?;
        let mut statements = members::leave_all(scope, id.as_bytes());
        statements.extend([
            Statement::new(DELETE, params![tenant.as_str(), id.as_bytes()]),
            Statement::new(DISMISS, params![tenant.as_str(), id.as_bytes(), scope.revision.to_db()]),
            feed::write(scope, 0, true, &Change::Group { group: id, exists: false }),
            audit(scope, actor, "group.delete", id).write([]),
        ]);
        statements.extend(labels::change(tenant, id.as_bytes(), Holder::Group, &held, &Labels::default()));
        scope.tx.batch(statements).await?;
        scope.counts.groups -= 1;
        Ok(Applied::Changed(()))
    }
}

/// The group as it stands, if it is at the version expected.
async fn stored(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: GroupId,
    expected: Revision,
) -> Result<(Group, GroupDocument), Failure> {
    let row = tx.row(GET, params![tenant.as_str(), id.as_bytes()]).await?.ok_or(Failure::GroupNotFound)?;
    let stored = group(&row)?;
    if expected != Revision(0) && stored.version != expected {
        return Err(Failure::VersionMismatch);
    }
    let document = GroupDocument::parse(stored.document.clone()).map_err(|failure| {
        tracing::error!(group = %id, %failure, "a stored document can't be read");
        Failure::Internal
    })?;
    Ok((stored, document))
}

async fn name_taken(tx: &mut Tx<'_>, tenant: &TenantId, document: &GroupDocument) -> Result<bool, Failure> {
    const TAKEN: &str = "SELECT version FROM groups WHERE tenant = $1 AND display_name_folded = $2";
    Ok(tx.row(TAKEN, params![tenant.as_str(), document.folded_name()]).await?.is_some())
}

/// The names of what changed, for the audit trail.
fn attributes<'a>(mut changed: BTreeSet<&'a str>, delta: &Delta) -> BTreeSet<&'a str> {
    if !delta.is_empty() {
        changed.insert("members");
    }
    changed
}

fn audit<'a>(scope: &Scope<'a, '_>, actor: &'a Actor, operation: &'static str, id: GroupId) -> Record<'a> {
    Record {
        tenant: scope.tenant,
        at: scope.now,
        revision: Some(scope.revision),
        actor,
        operation,
        object: id.to_string(),
    }
}
