//! The SCIM extensions a tenant defines. They change what attributes mean and never what anybody may do, so they take
//! no revision and are in no feed.

use domain::clock::Timestamp;
use domain::id::TenantId;
use scim::schema::{Extension, InvalidExtension, Schemas};
use sql::{Row, Statement, Tx, params};

use super::audit::Record;
use super::{Store, list_from_db, list_to_db};
use crate::failure::Failure;
use crate::model::Actor;

const READ: &str = "SELECT extensions FROM tenants WHERE id = $1";

impl Store {
    /// Defines an extension, or defines it anew: the URN says which.
    pub async fn put_extension(&self, tenant: &TenantId, extension: Extension) -> Result<(), Failure> {
        let object = extension.urn().to_owned();
        self.edit_extensions(tenant, "schema.put", object, move |all| {
            match all.iter_mut().find(|old| old.is(extension.urn())) {
                Some(old) if *old == extension => return Ok(false),
                Some(old) => *old = extension,
                None => all.push(extension),
            }
            Ok(true)
        })
        .await
    }

    /// Takes an extension away. What resources hold of it stays, as of an extension nobody defined.
    pub async fn remove_extension(&self, tenant: &TenantId, urn: &str) -> Result<(), Failure> {
        let urn = urn.to_owned();
        self.edit_extensions(tenant, "schema.remove", urn.clone(), move |all| {
            let place = all.iter().position(|old| old.is(&urn)).ok_or(Failure::SchemaNotFound)?;
            all.remove(place);
            Ok(true)
        })
        .await
    }

    /// A tenant's extensions, in the order they were first defined.
    pub async fn extensions(&self, tenant: &TenantId) -> Result<Vec<Extension>, Failure> {
        let tenant = tenant.clone();
        self.database.read(move |tx| Box::pin(async move { read(tx, &tenant).await })).await
    }

    /// Makes an edit under the lock of the tenant's row; writes nothing if it answers that nothing changed.
    async fn edit_extensions(
        &self,
        tenant: &TenantId,
        operation: &'static str,
        object: String,
        edit: impl FnOnce(&mut Vec<Extension>) -> Result<bool, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        const LOCK: &str = "SELECT extensions FROM tenants WHERE id = $1 {for update}";
        let (tenant, now) = (tenant.clone(), self.clock.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let row = tx.row(LOCK, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
                    let mut all = from_db(&row)?;
                    if !edit(&mut all)? {
                        return Ok(());
                    }
                    Extension::check_together(&all).map_err(invalid)?;
                    let update = Statement::new(
                        "UPDATE tenants SET extensions = $2 WHERE id = $1",
                        params![tenant.as_str(), to_db(&all)],
                    );
                    tx.batch(vec![update, audit(&tenant, now, operation, object)]).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// An extension as the contract has it.
pub(crate) fn parse(resource_type: &str, schema: &str) -> Result<Extension, Failure> {
    Extension::parse(resource_type, schema).map_err(invalid)
}

/// The schemas a tenant speaks; those of its extensions that can't be used are left out, and the log says so.
pub(super) async fn schemas(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Schemas, Failure> {
    Ok(Schemas::with(&read(tx, tenant).await?).unwrap_or_else(|error| {
        tracing::error!(%error, "the extensions of a tenant can't be used");
        Schemas::BUILT_IN
    }))
}

async fn read(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Vec<Extension>, Failure> {
    from_db(&tx.row(READ, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?)
}

fn from_db(row: &Row) -> Result<Vec<Extension>, Failure> {
    let Some(text) = row.maybe_text(0)? else { return Ok(Vec::new()) };
    let texts = list_from_db(text)?;
    let pairs = texts.chunks_exact(2).map(|pair| Extension::parse(&pair[0], &pair[1]));
    pairs.collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%error, "a tenant's extensions can't be read");
        Failure::Internal
    })
}

/// Resource type and definition, one after the other.
fn to_db(extensions: &[Extension]) -> String {
    list_to_db(extensions.iter().flat_map(|extension| [extension.resource_type(), extension.json()]))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands behind `map_err`")]
fn invalid(error: InvalidExtension) -> Failure {
    Failure::Invalid { field: "schema", expected: error.to_string() }
}

fn audit(tenant: &TenantId, at: Timestamp, operation: &'static str, object: String) -> Statement {
    let actor = &Actor::default();
    Record { tenant, at, revision: None, actor, operation, object }.write([])
}
