//! The contract's methods: who asks, what is asked, the answer.

use std::sync::Arc;

use proto::roles::v1::label_service_server::LabelService;
use proto::roles::v1::role_service_server::RoleService;
use proto::roles::v1::{
    BatchGetEffectiveRolesRequest, BatchGetEffectiveRolesResponse, CheckRoleRequest, CheckRoleResponse,
    GetEffectiveRolesRequest, GetEffectiveRolesResponse, MatchLabelsRequest, MatchLabelsResponse,
};
use runtime::peer::{Caller, require_peer};
use tonic::{Request, Response, Status};

use crate::authorise::Authoriser;
use crate::convert;
use crate::resolver::Resolver;

/// Both services of the contract; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) authoriser: Arc<Authoriser>,
    pub(crate) resolver: Arc<Resolver>,
}

#[tonic::async_trait]
impl RoleService for Service {
    async fn get_effective_roles(
        &self,
        request: Request<GetEffectiveRolesRequest>,
    ) -> Result<Response<GetEffectiveRolesResponse>, Status> {
        let caller = Caller::of(&request);
        let GetEffectiveRolesRequest { tenant, user, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let user = convert::who(user)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &[user], freshness).await?;
        Ok(Response::new(convert::one(answer)?))
    }

    async fn batch_get_effective_roles(
        &self,
        request: Request<BatchGetEffectiveRolesRequest>,
    ) -> Result<Response<BatchGetEffectiveRolesResponse>, Status> {
        let caller = Caller::of(&request);
        let BatchGetEffectiveRolesRequest { tenant, users, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let users = convert::whos(users)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &users, freshness).await?;
        Ok(Response::new(convert::batch(answer)))
    }

    async fn check_role(&self, request: Request<CheckRoleRequest>) -> Result<Response<CheckRoleResponse>, Status> {
        let caller = Caller::of(&request);
        let CheckRoleRequest { tenant, user, grant, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let (user, grant) = (convert::who(user)?, convert::grant(grant)?);
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &[user], freshness).await?;
        Ok(Response::new(convert::check(answer, &grant)?))
    }
}

#[tonic::async_trait]
impl LabelService for Service {
    async fn match_labels(
        &self,
        request: Request<MatchLabelsRequest>,
    ) -> Result<Response<MatchLabelsResponse>, Status> {
        require_peer(&request)?;
        let MatchLabelsRequest { tenant, labels } = request.into_inner();
        let tenant = convert::tenant(&tenant)?;
        let labels = convert::labels(&labels)?;
        Ok(Response::new(convert::matched(&self.resolver.unmatched(&tenant, labels).await?)))
    }
}
