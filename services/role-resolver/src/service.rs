//! The contract's methods: who asks, what is asked, the answer.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};
use proto::roles::v1::label_service_server::LabelService;
use proto::roles::v1::role_service_server::RoleService;
use proto::roles::v1::{
    BatchCheckRoleRequest, BatchCheckRoleResponse, BatchGetEffectiveRolesRequest, BatchGetEffectiveRolesResponse,
    CheckRoleRequest, CheckRoleResponse, ExplainRolesRequest, ExplainRolesResponse, GetEffectiveRolesRequest,
    GetEffectiveRolesResponse, ListRoleHoldersRequest, ListRoleHoldersResponse, MatchLabelsRequest,
    MatchLabelsResponse,
};
use runtime::peer::{Caller, require_peer};
use tonic::{Request, Response, Status};

use crate::authorise::Authoriser;
use crate::convert::{self, reports};
use crate::holders::Holders;
use crate::resolver::Resolver;

/// Both services of the contract; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) authoriser: Arc<Authoriser>,
    pub(crate) resolver: Arc<Resolver>,
}

/// What a streaming method answers.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl RoleService for Service {
    type ListRoleHoldersStream = Answers<ListRoleHoldersResponse>;

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

    async fn batch_check_role(
        &self,
        request: Request<BatchCheckRoleRequest>,
    ) -> Result<Response<BatchCheckRoleResponse>, Status> {
        let caller = Caller::of(&request);
        let BatchCheckRoleRequest { tenant, checks, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let (users, grants): (Vec<_>, Vec<_>) = convert::checks(checks)?.into_iter().unzip();
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let answer = self.resolver.sets(&tenant, &users, freshness).await?;
        Ok(Response::new(convert::batch_check(answer, &grants)))
    }

    async fn explain_roles(
        &self,
        request: Request<ExplainRolesRequest>,
    ) -> Result<Response<ExplainRolesResponse>, Status> {
        let caller = Caller::of(&request);
        let ExplainRolesRequest { tenant, user, consistency } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let user = convert::who(user)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let (id, explanation, token) = self.resolver.explain(&tenant, &user, freshness).await?;
        Ok(Response::new(reports::explanation(id, explanation, token)))
    }

    async fn list_role_holders(
        &self,
        request: Request<ListRoleHoldersRequest>,
    ) -> Result<Response<Self::ListRoleHoldersStream>, Status> {
        let caller = Caller::of(&request);
        let ListRoleHoldersRequest { tenant, grant, consistency, after_user_id } = request.into_inner();
        let tenant = self.authoriser.tenant(&caller, &tenant).await?;
        let grant = convert::grant(grant)?;
        let freshness = convert::freshness(consistency, &self.resolver.key, &tenant)?;
        let holders = Holders::new(tenant.clone(), grant, freshness, reports::after(&after_user_id)?);
        let start = (holders, self.clone(), caller, tenant);
        let answers = try_unfold(start, async |(mut holders, service, caller, tenant)| {
            // A caller may take its time, and its token may end meanwhile.
            service.authoriser.tenant(&caller, tenant.as_str()).await?;
            let found = holders.next(&service.resolver).await?;
            Ok(found.map(|found| (reports::holders(found, holders.grant()), (holders, service, caller, tenant))))
        });
        Ok(Response::new(answers.boxed()))
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
