//! On whose behalf a request is worked on.

use std::sync::Arc;

use domain::id::TenantId;

/// Who sent a request, as its bearer token proves. Every call to another part needs one, so nothing can be done for a
/// tenant that no token names.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token's tenant.
    pub(crate) tenant: TenantId,
    /// The token's public id.
    pub(crate) token_id: Arc<str>,
    /// The id of the request, the client's or ours.
    pub(crate) request_id: Arc<str>,
}
