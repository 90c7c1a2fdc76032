//! The contracts' services, thin: who calls, what is asked in the domain's words, what the store says, and back.

mod access;
mod admin;
mod feed;
mod groups;
mod server;
mod tokens;
mod users;

pub(crate) use self::server::server;

use std::sync::Arc;

use domain::cursor::CursorKey;
use domain::id::TenantId;
use domain::revision::{Position, RevisionKey};
use runtime::peer::require_peer;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::convert;
use crate::store::Store;

/// Serves every contract. Clones share one store.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    store: Store,
    revision_key: Arc<RevisionKey>,
    cursor_key: CursorKey,
    /// Ends the streams that would never end by themselves.
    stop: CancellationToken,
}

impl Service {
    pub(crate) fn new(store: Store, revision_key: RevisionKey, stop: CancellationToken) -> Self {
        Self { store, cursor_key: revision_key.cursor_key(), revision_key: Arc::new(revision_key), stop }
    }

    fn seal(&self, tenant: &TenantId, position: Position) -> String {
        convert::revision_token(&self.revision_key, tenant, position)
    }
}

/// What another part asks for. Nobody else may ask identity-store anything.
fn asked<T>(request: Request<T>) -> Result<T, Status> {
    require_peer(&request)?;
    Ok(request.into_inner())
}
