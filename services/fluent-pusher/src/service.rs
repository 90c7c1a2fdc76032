//! `PushService`: what operators see of the push, and decide.

use domain::id::{TenantId, UserId};
use proto::push::v1 as push;
use proto::push::v1::push_service_server::PushService;
use runtime::error::{Error, Reason};
use runtime::peer::Caller;
use tonic::{Request, Response, Status};

use crate::convert;
use crate::store::{Backlog, Decision, Store};
use crate::tenants::Tenants;

const MAX_ATTENTION: usize = 1000;

/// The service over the pusher's tables.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) tenants: Tenants,
}

impl Service {
    /// A decision or retry that another replica made due is found by its poll; here the bell is rung.
    fn ring(&self, tenant: &TenantId) {
        if let Some(tenant) = self.tenants.get(tenant) {
            tenant.work.notify_one();
        }
    }
}

#[tonic::async_trait]
impl PushService for Service {
    async fn get_backlog(
        &self,
        request: Request<push::GetBacklogRequest>,
    ) -> Result<Response<push::GetBacklogResponse>, Status> {
        let push::GetBacklogRequest { tenant } = of_peer(request)?;
        let backlog = self.store.backlog(&tenant_id(&tenant)?).await.map_err(|error| store_failed(&error))?;
        let Backlog { due, due_revocations, oldest_revocation, failed } = backlog;
        let oldest_revocation_age_ms = u64::try_from(oldest_revocation.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(push::GetBacklogResponse { due, due_revocations, oldest_revocation_age_ms, failed }))
    }

    async fn list_attention(
        &self,
        request: Request<push::ListAttentionRequest>,
    ) -> Result<Response<push::ListAttentionResponse>, Status> {
        let push::ListAttentionRequest { tenant } = of_peer(request)?;
        let tenant = tenant_id(&tenant)?;
        let accounts = self.store.attention(&tenant, MAX_ATTENTION).await.map_err(|error| store_failed(&error))?;
        let accounts = accounts.into_iter().map(convert::attention_out).collect();
        Ok(Response::new(push::ListAttentionResponse { accounts }))
    }

    async fn decide(&self, request: Request<push::DecideRequest>) -> Result<Response<push::DecideResponse>, Status> {
        let request = of_peer(request)?;
        let decision = match request.decision() {
            push::Decision::Adopt => Decision::Adopt,
            push::Decision::Replace => Decision::Replace,
            push::Decision::Keep => Decision::Keep,
            push::Decision::Unspecified => return Err(invalid("decision", "ADOPT, REPLACE or KEEP")),
        };
        let push::DecideRequest { tenant, user_id, decision: _ } = request;
        let (tenant, user) = (tenant_id(&tenant)?, user(&user_id)?);
        if !self.store.decide(&tenant, user, decision).await.map_err(|error| store_failed(&error))? {
            let message = "the user has no account that waits for this decision";
            return Err(Error::new(Reason::STATE_CONFLICT, message).into());
        }
        self.ring(&tenant);
        Ok(Response::new(push::DecideResponse {}))
    }

    async fn retry(&self, request: Request<push::RetryRequest>) -> Result<Response<push::RetryResponse>, Status> {
        let push::RetryRequest { tenant, user_id } = of_peer(request)?;
        let (tenant, user) = (tenant_id(&tenant)?, user(&user_id)?);
        if !self.store.retry(&tenant, user).await.map_err(|error| store_failed(&error))? {
            return Err(Error::new(Reason::ACCOUNT_NOT_FOUND, "nothing was ever to be pushed for this user").into());
        }
        self.ring(&tenant);
        Ok(Response::new(push::RetryResponse {}))
    }
}

/// The message, if another part of Rolecall sent it.
fn of_peer<T>(request: Request<T>) -> Result<T, Status> {
    match Caller::of(&request) {
        Caller::Peer => Ok(request.into_inner()),
        Caller::Bearer(_) | Caller::Anonymous => {
            Err(Error::new(Reason::PEER_REQUIRED, "only another part of Rolecall may ask this").into())
        }
    }
}

fn tenant_id(text: &str) -> Result<TenantId, Status> {
    convert::tenant(text)
        .map_err(|error| Error::new(Reason::FIELD_INVALID, error.to_string()).with("field", "tenant").into())
}

fn user(text: &str) -> Result<UserId, Status> {
    convert::user(text).map_err(|_| invalid("user_id", "the SCIM id of a user"))
}

fn invalid(field: &'static str, right: &'static str) -> Status {
    Error::new(Reason::FIELD_INVALID, format!("{field} is not valid: it must be {right}")).with("field", field).into()
}

fn store_failed(error: &sql::Error) -> Status {
    match error.kind() {
        sql::ErrorKind::Unavailable | sql::ErrorKind::Unknown => {
            crate::worker::log_store(error);
            Error::new(Reason::STORE_UNAVAILABLE, "the pusher's tables do not answer").into()
        }
        sql::ErrorKind::Defect => Error::internal("reading the pusher's tables", error).into(),
    }
}
