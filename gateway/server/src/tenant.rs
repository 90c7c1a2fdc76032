//! What a request needs to know of its tenant: what the tenant chose, and the schemas it speaks.
//!
//! Both come from identity-store in one answer and are used again for a few seconds.

use domain::id::TenantId;
use domain::settings::{Environment, Protocol};
use scim::Mode;
use scim::schema::{Extension, Schemas};

use crate::Gateway;
use crate::call::Call;
use crate::guardrail::Settings;
use crate::query::Query;
use crate::scim_error::Refusal;

/// A tenant as a request meets it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// What it chose.
    pub(crate) settings: Settings,
    /// Its resources, with the extensions it defines.
    pub(crate) schemas: Schemas,
}

impl Gateway {
    /// The caller's tenant.
    pub(crate) async fn tenant(&self, call: &Call) -> Result<Tenant, Refusal> {
        self.tenant_of(&call.caller.tenant).await
    }

    /// Whether the tenant is marked as development.
    pub(crate) async fn in_development(&self, tenant: &TenantId) -> Result<bool, Refusal> {
        Ok(self.tenant_of(tenant).await?.settings.environment == Environment::Development)
    }

    async fn tenant_of(&self, tenant: &TenantId) -> Result<Tenant, Refusal> {
        let ask = || {
            let (upstream, tenant) = (self.upstream.clone(), tenant.to_string());
            async move { upstream.tenant(tenant).await }
        };
        Ok(self.tenants.get(tenant, ask).await?)
    }

    /// How strictly a read is read; that of one which names nothing makes no difference.
    pub(crate) async fn mode(&self, call: &Call, query: &Query) -> Result<Mode, Refusal> {
        if query.names_nothing() { Ok(Mode::Lenient) } else { Ok(mode(&self.tenant(call).await?.settings)) }
    }

    /// The schemas that a read needs: the tenant's own only where it names attributes.
    pub(crate) async fn schemas(&self, call: &Call, query: &Query) -> Result<Schemas, Refusal> {
        if query.names_nothing() { Ok(Schemas::BUILT_IN) } else { Ok(self.tenant(call).await?.schemas) }
    }
}

/// How strictly a tenant's requests are read.
pub(crate) fn mode(settings: &Settings) -> Mode {
    match settings.protocol {
        Protocol::Lenient => Mode::Lenient,
        Protocol::Strict => Mode::Strict,
    }
}

/// The schemas with these extensions, or without them: what can't be understood is then kept as it is sent, like any
/// extension nobody registered, and nobody is kept from taking access away.
pub(crate) fn schemas(extensions: &[(String, String)]) -> Schemas {
    let read = extensions.iter().map(|(resource_type, json)| Extension::parse(resource_type, json));
    let schemas = read.collect::<Result<Vec<_>, _>>().and_then(|extensions| Schemas::with(&extensions));
    schemas.unwrap_or_else(|error| {
        tracing::error!(%error, "the extensions of a tenant can't be used");
        Schemas::BUILT_IN
    })
}
