//! The audit trail: who changed what, written in the transaction of the change. Names of attributes, never values.

use domain::clock::Timestamp;
use domain::id::TenantId;
use domain::revision::Revision;
use sql::{Statement, params};

use super::{Store, list_to_db};
use crate::failure::Failure;
use crate::model::Actor;

/// One entry.
pub(super) struct Record<'a> {
    /// Whose data.
    pub(super) tenant: &'a TenantId,
    /// When.
    pub(super) at: Timestamp,
    /// The revision of the change, if it took one.
    pub(super) revision: Option<Revision>,
    /// On whose behalf.
    pub(super) actor: &'a Actor,
    /// What was done, for example `user.replace`.
    pub(super) operation: &'static str,
    /// To what: an id.
    pub(super) object: String,
}

impl Record<'_> {
    /// The statement that writes it; `attributes` are the names of those that changed.
    pub(super) fn write<'a>(&self, attributes: impl IntoIterator<Item = &'a str>) -> Statement {
        const INSERT: &str = "INSERT INTO audit (tenant, id, at, revision, token_id, request_id, operation, object, \
             attributes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let Self { tenant, at, revision, actor, operation, object } = self;
        let Actor { token_id, request_id } = actor;
        Statement::new(
            INSERT,
            params![
                tenant.as_str(),
                uuid::Uuid::now_v7().as_bytes(),
                at.0,
                revision.map(Revision::to_db),
                clean(token_id),
                clean(request_id),
                *operation,
                object,
                list_to_db(attributes),
            ],
        )
    }
}

/// What came from outside, short and without characters a database refuses.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Store {
    /// How many entries a tenant's audit trail has.
    pub async fn audit_entries(&self, tenant: &TenantId) -> Result<u64, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let row = tx.row("SELECT COUNT(*) FROM audit WHERE tenant = $1", params![tenant.as_str()]).await?;
                    Ok(u64::try_from(row.ok_or(Failure::Internal)?.int(0)?).unwrap_or(0))
                })
            })
            .await
    }
}
